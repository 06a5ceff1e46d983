// What the database is, as a worker would meet it.
import { z } from "zod";
import type { Parts } from "../../assemble.ts";
import type { Config } from "../../config/config.ts";
import { pendingMigrations } from "../../database/migrate.ts";
import { openPostgresSession } from "../../database/postgres-session.ts";
import { judgeHorizon } from "../../status/horizon.ts";
import { queueFigures } from "../../status/queue-figures.ts";
import { pauseInWords } from "../pause.ts";
import { queueStats } from "../queue-stats.ts";
import { vectorsInWords } from "../vectors-in-words.ts";
import { count, counted } from "../words.ts";
import { attempt, type Finding, green, red, yellow } from "./finding.ts";

const described = z.object({
  postgres: z.string(),
  pgvector: z.string().nullable(),
  role: z.string(),
  documents: z.number(),
  live_chunks: z.number(),
  models: z.array(
    z.object({ model: z.string(), dimensions: z.number(), quantisation: z.string(), state: z.string() }),
  ),
  vectors: queueFigures.shape.vectors,
  exposed: z.array(z.string()),
  without_rls: z.array(z.string()),
});
export type Described = z.infer<typeof described>;

const SLOW_MS = 200;
// Some parts that a running worker would have indexed long ago; scanning so many takes a tenth of a second.
const SCANNED_MOST = 60_000;
// pgvector before this may lose rows or crash under iterative scans.
const PGVECTOR_WANTED = "0.8.4";

/** Which transport, and why this one. */
export function explainTransport(config: Config): Finding {
  if (config.databaseUrl !== null) return green("transport", "postgres, because DATABASE_URL is set");
  if (config.supabaseUrl !== null && config.supabaseKey !== null)
    return green(
      "transport",
      "supabase RPC, because SUPABASE_URL and its key are set and DATABASE_URL is not",
    );
  if (config.supabaseUrl !== null || config.supabaseKey !== null)
    return red(
      "transport",
      `embedded, for ${config.supabaseUrl === null ? "SUPABASE_URL" : "the service role key"} is missing`,
      "Set both SUPABASE_URL and SUPABASE_SERVICE_ROLE_KEY (or SUPABASE_SECRET_KEY), or DATABASE_URL.",
    );
  return green("transport", "embedded, because neither DATABASE_URL nor SUPABASE_URL is set");
}

/** Connection, schema, grants. `seen` gets what the database says of itself. */
export async function checkDatabase(
  parts: Parts,
  seen: (described: Described) => void,
): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  const { databaseUrl } = parts.config;
  if (databaseUrl !== null) {
    const pooling = await attempt("connection", () => checkPooling(databaseUrl));
    // Who does not get in here gets in nowhere: once is enough to say so.
    if (pooling.some(({ status }) => status === "red")) return pooling;
    findings.push(...pooling);
    findings.push(...(await attempt("migrations", () => checkMigrations(databaseUrl))));
  }
  findings.push(
    ...(await attempt("database", async () => {
      const answer = described.parse(await parts.database.call("rag_describe_database", {}));
      seen(answer);
      return [await checkLatency(parts), ...checkServer(answer), checkGrants(answer), checkIndex(answer)];
    })),
  );
  findings.push(...(await attempt("queue", () => checkQueue(parts))));
  return findings;
}

/** What keeps jobs waiting although everything works, and what makes the queue slow in time. */
async function checkQueue({ database }: Parts): Promise<readonly Finding[]> {
  const stats = await queueStats(database.call);
  const { held, says } = judgeHorizon(stats);
  return [
    ...stats.paused.map((one) =>
      yellow("pause", `${pauseInWords(one)}`, "Jobs that it covers wait until it is ended."),
    ),
    held ? yellow("vacuum", says, "Until then every look at the queue grows slower.") : green("vacuum", says),
  ];
}

async function checkLatency({ database }: Parts): Promise<Finding> {
  const times: number[] = [];
  for (let round = 0; round < 5; round += 1) {
    const startedAt = performance.now();
    // Answers without touching a row.
    await database.call("rag_list_jobs", { p_filter: {}, p_limit: 0 });
    times.push(performance.now() - startedAt);
  }
  const median = times.toSorted((one, other) => one - other)[2] ?? 0;
  const says = `${database.describes} answers in ${median.toFixed(1)} ms`;
  if (median < SLOW_MS) return green("connection", says);
  return yellow("connection", says, "The worker is far from its database: run it in the same region.");
}

async function checkMigrations(url: string): Promise<readonly Finding[]> {
  const session = await openPostgresSession({ url, poolMax: 1 });
  try {
    const pending = await pendingMigrations(session);
    if (pending.length === 0) return [green("migrations", "all applied")];
    const names = pending.map(({ file }) => file).join(", ");
    return [
      red(
        "migrations",
        `${counted(pending.length, "migration")} pending: ${names}`,
        "Run: npm run rag -- migrate",
      ),
    ];
  } finally {
    await session.close();
  }
}

/**
 * A transaction pooler gives one server connection to many clients: what one client sets for its session,
 * the next one sees. It can only be proven, not disproven: a busy pooler may hand out another connection.
 */
async function checkPooling(url: string): Promise<readonly Finding[]> {
  const [one, other] = await Promise.all([
    openPostgresSession({ url, poolMax: 1 }),
    openPostgresSession({ url, poolMax: 1 }),
  ]);
  const mark = `doctor-${process.pid}-${Date.now()}`;
  const read = "select pg_catalog.current_setting('rag.doctor', true) as mark";
  try {
    // Both are connected before the mark is set, so that neither merely takes the other's place.
    await other.query(read);
    await one.query("select pg_catalog.set_config('rag.doctor', $1, false)", [mark]);
    const [seen] = await other.query(read);
    const [kept] = await one.query(read);
    const pooled = seen?.mark === mark || kept?.mark !== mark;
    if (pooled) await other.query("select pg_catalog.set_config('rag.doctor', '', false)");
    return [
      green(
        "pooling",
        pooled
          ? "transaction pooling detected: the worker keeps nothing in a session, so it works here"
          : "no transaction pooling detected",
      ),
    ];
  } finally {
    await Promise.all([one.close(), other.close()]);
  }
}

function checkServer(answer: Described): Finding[] {
  const { pgvector } = answer;
  const server = green("server", `PostgreSQL ${answer.postgres}, role ${answer.role}`);
  if (pgvector === null)
    return [
      server,
      red(
        "pgvector",
        "not installed",
        "Supabase: Database > Extensions > vector. Else install pgvector on the server.",
      ),
    ];
  if (isOlder(pgvector, PGVECTOR_WANTED))
    return [
      server,
      yellow("pgvector", pgvector, `Upgrade to ${PGVECTOR_WANTED} or newer: older ones have known faults.`),
    ];
  return [server, green("pgvector", pgvector)];
}

function checkGrants(answer: Described): Finding {
  const open = [
    ...answer.exposed.map((name) => `${name} may be used by anon, authenticated or public`),
    ...answer.without_rls.map((name) => `${name} has no row security`),
  ];
  if (open.length === 0)
    return green("grants", "row security on everywhere, nothing open to anon or authenticated");
  return red(
    "grants",
    `${open.slice(0, 5).join("; ")}${open.length > 5 ? `; and ${open.length - 5} more` : ""}`,
    "Anybody with the project's public key may reach this. Run the migrations again, or revoke by hand.",
  );
}

function checkIndex(answer: Described): Finding {
  const says = `${count(answer.live_chunks)} live chunks of ${counted(answer.documents, "document")}`;
  const vectors = `${says}; vectors: ${vectorsInWords(answer)}`;
  if (answer.vectors.tail_chunks + answer.vectors.unindexed_rows <= SCANNED_MOST)
    return green("vector index", vectors);
  return yellow(
    "vector index",
    vectors,
    "Workers build indexes by themselves: is one running? While a big load goes on they may lag behind. Above 4,000 dimensions, and in an embedded database, searches always scan.",
  );
}

/** By numbers, not by letters: 0.8.10 is newer than 0.8.4. */
export function isOlder(version: string, wanted: string): boolean {
  const [have, want] = [version, wanted].map((text) =>
    text.split(".").map((part) => Number.parseInt(part, 10) || 0),
  );
  for (let place = 0; place < 3; place += 1) {
    const difference = (have?.[place] ?? 0) - (want?.[place] ?? 0);
    if (difference !== 0) return difference < 0;
  }
  return false;
}
