// What an undisturbed worker makes of the same contents: the standard that a run's documents are held to.
import { randomUUID } from "node:crypto";
import type postgres from "postgres";
import { migrate } from "../../../database/migrate.ts";
import { openPostgresSession } from "../../../database/postgres-session.ts";
import { startEmbeddingServer } from "../../stand-ins/embedding-server.ts";
import { startWorkerProcess } from "../worker-process.ts";
import { installHistory } from "./history.ts";
import type { OwnPostgres } from "./own-postgres.ts";
import { openHarness } from "./patience.ts";
import { type Content, fieldsOf } from "./texts.ts";

const LIMIT_MS = 20 * 60_000;
const ROWS_A_CALL = 200;

/** A fresh, migrated database with the history installed, and a connection to it. */
export async function openRunDatabase(own: Pick<OwnPostgres, "create" | "drop" | "url">) {
  const name = `faults_${randomUUID().replaceAll("-", "").slice(0, 12)}`;
  await own.create(name);
  const session = await openPostgresSession({ url: own.url(name) });
  await migrate(session).finally(() => session.close());
  const sql = openHarness(own.url(name));
  await installHistory(sql);
  return {
    name,
    sql,
    async close() {
      await sql.end({ timeout: 1 });
      await own.drop(name);
    },
  };
}

/** The digest of each content, by its key. */
export async function digestsOf(
  contents: readonly Content[],
  own: OwnPostgres,
  environment: Readonly<Record<string, string>>,
): Promise<ReadonlyMap<string, string>> {
  const database = await openRunDatabase(own);
  const embedding = await startEmbeddingServer({ dimensions: 8 });
  try {
    for (let at = 0; at < contents.length; at += ROWS_A_CALL) {
      const requests = contents
        .slice(at, at + ROWS_A_CALL)
        .map((content) => ({ external_id: content.key, ...fieldsOf(content) }));
      await database.sql`select public.rag_enqueue(r.value)
        from jsonb_array_elements(${database.sql.json(requests as postgres.JSONValue)}) r`;
    }
    const worker = startWorkerProcess({
      databaseUrl: own.url(database.name),
      embeddingUrl: embedding.baseUrl,
      id: "undisturbed",
      environment: {
        ...environment,
        RAG_LEASE_SECONDS: "60",
        RAG_JOB_CONCURRENCY: "16",
        RAG_EMBEDDING_BATCH: "64",
        RAG_EMBEDDING_CONCURRENCY: "4",
        LOG_LEVEL: "warn",
      },
      arguments: ["--once"],
    });
    const limit = setTimeout(() => worker.signal("SIGKILL"), LIMIT_MS);
    const code = await worker.ended;
    clearTimeout(limit);
    if (code !== 0)
      throw new Error(`The undisturbed run ended with ${code}: ${worker.lines.slice(-5).join("\n")}`);
    const rows = await database.sql`
      select external_id, fault.digest(id, live_generation) as digest from public.rag_documents`;
    return new Map(rows.map((row) => [String(row.external_id), String(row.digest)]));
  } finally {
    await embedding.close();
    await database.close();
  }
}
