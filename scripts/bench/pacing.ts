// How much of a provider's allowance three replicas use together while its limit changes under them, and how many
// of their requests it refuses: sharing the budget through Postgres, and each by itself. After a while of finding
// their pace; the provider is the tests' stand-in, which limits as OpenAI does.
import { setTimeout as sleep } from "node:timers/promises";
import { migrate } from "../../worker/database/migrate.ts";
import { openPostgres } from "../../worker/database/postgres.ts";
import type { SqlCall } from "../../worker/document/sql-call.ts";
import { type Batcher, openBatcher } from "../../worker/embedders/batch.ts";
import { openOpenAi } from "../../worker/embedders/openai.ts";
import { openPacer } from "../../worker/embedders/pacing/pacer.ts";
import { shareThrough } from "../../worker/embedders/pacing/shared-share.ts";
import { type EmbeddingServer, startEmbeddingServer } from "../../worker/tests/stand-ins/embedding-server.ts";
import type { RateLimit } from "../../worker/tests/stand-ins/embedding-server-limit.ts";
import { createDatabase } from "./contestants/fresh-database.ts";
import { asked, type BenchOptions, type Report } from "./figure.ts";

const REPLICAS = 3;
const CALLS = 8;
const TEXTS_A_CALL = 16;
const LATENCY_MS = 60;
const DIMENSIONS = 8;
/** Requests a minute from so many seconds on. What is used counts from the second on at which it is measured. */
const LIMITS = [
  [0, 1_800],
  [20, 900],
  [40, 2_400],
  [55, 1_200],
] as const;
const MEASURED = { from: 30, to: 70 };

type Hints = NonNullable<RateLimit["hints"]>;
const contestants = [
  { name: "shared", shares: true },
  { name: "each alone", shares: false },
] as const;
const cases: Readonly<Record<Hints, string>> = {
  all: "all headers",
  "retry-after": "retry-after alone",
  none: "no hint",
};

export async function benchPacing(report: Report, options: BenchOptions): Promise<void> {
  for (const { name, shares } of asked(contestants, options)) {
    for (const hints of ["all", "retry-after", "none"] as const) {
      const { used, refused, statements } = await measure(hints, shares);
      const figure = { bench: "pacing", case: cases[hints], contestant: `${REPLICAS} replicas, ${name}` };
      report({ ...figure, metric: "allowance used", value: used * 100, unit: "%" });
      report({ ...figure, metric: "refused (429)", value: refused * 100, unit: "%" });
      report({ ...figure, metric: "statements", value: statements, unit: "a second and replica" });
    }
  }
}

async function measure(hints: Hints, shares: boolean) {
  const database = await createDatabase();
  await database.withSession((session) => migrate(session));
  const sql = await openPostgres({ url: database.url, poolMax: 3, poolTimeoutSeconds: 10 });
  const limitOf = (requestsPerMinute: number) => ({ requestsPerMinute, hints });
  const server = await startEmbeddingServer({
    dimensions: DIMENSIONS,
    latencyMs: LATENCY_MS,
    limit: limitOf(LIMITS[0][1]),
  });
  let statements = 0;
  const call: SqlCall = (name, args, how) => {
    statements += 1;
    return sql.call(name, args, how);
  };
  const stop = new AbortController();
  const replicas = await Promise.all(
    Array.from({ length: REPLICAS }, (_, at) => openReplica(server, shares ? call : null, `replica ${at}`)),
  );
  const work = replicas.flatMap((batcher, at) =>
    Array.from({ length: CALLS }, (_, lane) => keepAsking(batcher, `${at} ${lane}`, stop.signal)),
  );
  const startedAt = performance.now();
  const until = (second: number) => sleep(Math.max(0, second * 1000 - (performance.now() - startedAt)));
  const changes = LIMITS.map(async ([second, requestsPerMinute]) => {
    await until(second);
    server.limiter?.change(limitOf(requestsPerMinute));
  });
  await until(MEASURED.from);
  server.limiter?.reset();
  const before = statements;
  await until(MEASURED.to);
  const offered = server.limiter?.offered() ?? 0;
  const { admitted, refused } = { ...(server.limiter?.counts ?? { admitted: 0, refused: 0 }) };
  const seconds = MEASURED.to - MEASURED.from;
  const figures = {
    used: admitted / offered,
    refused: refused / (admitted + refused),
    statements: (statements - before) / seconds / REPLICAS,
  };
  stop.abort();
  await Promise.all([...work, ...changes]);
  for (const batcher of replicas) await batcher.close();
  await server.close();
  await sql.close();
  await database.drop();
  return figures;
}

async function openReplica(server: EmbeddingServer, call: SqlCall | null, replica: string): Promise<Batcher> {
  const tokenizer = { name: "words", count: (text: string) => text.split(" ").length };
  const embedder = await openOpenAi(
    { apiKey: "sk-bench", baseUrl: server.baseUrl, model: "stand-in", dimensions: DIMENSIONS, tokenizer },
    new AbortController().signal,
  );
  const askForShare = call === null ? null : shareThrough(call, "openai bench stand-in", replica);
  const pacer = openPacer({ provider: "openai", concurrency: 4, askForShare });
  // Not filled further: what is measured are requests.
  return openBatcher(embedder, { batch: TEXTS_A_CALL, concurrency: 4, pacer });
}

/** Always has texts that wait, as a job with many chunks does. */
async function keepAsking(batcher: Batcher, name: string, signal: AbortSignal): Promise<void> {
  for (let round = 0; !signal.aborted; round += 1) {
    const texts = Array.from({ length: TEXTS_A_CALL }, (_, at) => `${name} ${round} ${at}`);
    // Given back for a while, as a job is; the queue would bring it again.
    await batcher.embed(texts, signal).catch(() => sleep(500));
  }
}
