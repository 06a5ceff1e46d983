// Where a bench runs: a fresh migrated database, on Postgres or embedded, thrown away afterwards.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openEmbedded } from "../../worker/database/embedded.ts";
import { migrate } from "../../worker/database/migrate.ts";
import type { SqlSession } from "../../worker/database/sql-session.ts";
import { createDatabase } from "./contestants/fresh-database.ts";

export type BenchWorld = {
  readonly name: "postgres" | "embedded";
  /** What a worker needs to find the database. */
  readonly settings: Readonly<Record<string, string>>;
  /** For filling the queue and reading the result; never open while the worker runs. */
  withSession<Result>(work: (session: SqlSession) => Promise<Result>): Promise<Result>;
  close(): Promise<void>;
};

/** Throws a sentence when DATABASE_URL is not set. */
export async function openPostgresWorld(): Promise<BenchWorld> {
  const database = await createDatabase();
  await database.withSession((session) => migrate(session));
  return {
    name: "postgres",
    settings: { DATABASE_URL: database.url },
    withSession: database.withSession,
    close: database.drop,
  };
}

export async function openEmbeddedWorld(): Promise<BenchWorld> {
  const dir = await mkdtemp(join(tmpdir(), "rag-bench-"));
  return {
    name: "embedded",
    settings: { RAG_EMBEDDED_DIR: dir },
    async withSession(work) {
      const database = await openEmbedded({ dir });
      return await work(database.session).finally(() => database.close());
    },
    close: () => rm(dir, { recursive: true, force: true }),
  };
}

/** One job for each file below the document root. */
export async function enqueueFiles(world: BenchWorld, names: readonly string[]): Promise<void> {
  await world.withSession(async (session) => {
    for (const name of names) {
      const uri = `file:///${name.split("/").map(encodeURIComponent).join("/")}`;
      await session.query("select public.rag_enqueue($1::jsonb)", [{ source_uri: uri }]);
    }
  });
}

/** Seconds between the first claim and the last settlement, and what came out. */
export async function resultOf(world: BenchWorld) {
  return await world.withSession(async (session) => {
    const [row] = await session.query(
      `select extract(epoch from max(completed_at) - min(started_at))::double precision as seconds,
         count(*) filter (where status = 'complete')::int as documents,
         count(*) filter (where status = 'failed')::int as failed,
         coalesce(sum(processed_chunks) filter (where status = 'complete'), 0)::int as chunks
       from public.rag_ingestion_queue`,
    );
    return row as { seconds: number; documents: number; failed: number; chunks: number };
  });
}
