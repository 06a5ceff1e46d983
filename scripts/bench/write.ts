// Rows a second into rag_document_chunks by each transport, beside bare COPY into the same table; and under live search,
// beside a table with a live index, with the latency and recall of the searches meanwhile.
import type { Database } from "../../worker/database/database.ts";
import { openEmbedded } from "../../worker/database/embedded.ts";
import { openPostgres } from "../../worker/database/postgres.ts";
import { openSupabase } from "../../worker/database/supabase.ts";
import { startPostgrest } from "../../worker/tests/stand-ins/postgrest.ts";
import type { BenchOptions, Report } from "./figure.ts";
import { type BenchWorld, openEmbeddedWorld, openPostgresWorld } from "./worlds.ts";
import { openBareWriter } from "./writers/bare.ts";
import { type OpenDocument, openDocument } from "./writers/documents.ts";
import { benchLiveWriting, type Say } from "./writers/live.ts";
import { openRows, type Rows } from "./writers/rows.ts";

// Two jobs at once, as two connections of a bare loop; batches of what a provider answers to one large request.
const WRITERS = 2;
const BATCH = 256;
const SIZES = [1536, 384] as const;
const ROWS: Readonly<Record<string, number>> = { copy: 8192, rpc: 2048, embedded: 2048 };

export async function benchWrite(report: Report, options: BenchOptions): Promise<void> {
  // --only: parts of the bench here, and dimensions: "copy 384".
  const wants = (part: string) => options.only === null || options.only.split(" ").includes(part);
  const sizes = SIZES.filter((size) => !/\d/.test(options.only ?? "") || wants(String(size)));
  for (const dimensions of sizes) {
    const rows = openRows(dimensions);
    const say: Say = (contestant, metric, value, unit, ratioTo) =>
      report({
        bench: "write",
        case: `${dimensions} dimensions`,
        contestant,
        metric,
        value,
        unit,
        ...(ratioTo === undefined ? {} : { ratio_to: ratioTo }),
      });
    if (wants("copy")) await besideBare(dimensions, rows, say, options);
    if (wants("rpc")) say("supabase RPC", "rows_per_second", await overRpc(dimensions, rows), "rows/s");
    if (wants("embedded")) say("embedded", "rows_per_second", await embedded(dimensions, rows), "rows/s");
    if (wants("live")) await benchLiveWriting(dimensions, rows, say, options);
  }
}

async function besideBare(dimensions: number, rows: Rows, say: Say, options: BenchOptions): Promise<void> {
  const bare: number[] = [];
  const ours: number[] = [];
  for (let round = 0; round < (options.rounds ?? 3); round += 1) {
    options.progress(`${dimensions} dimensions, round ${round + 1}`);
    bare.push(await inPostgres((database, url) => writeBare(database, url, dimensions, rows)));
    ours.push(await inPostgres((database) => writeStaged(database, dimensions, rows, "copy")));
  }
  const median = (of: number[]) => of.sort((a, b) => a - b)[Math.floor(of.length / 2)] ?? 0;
  say("bare COPY", "rows_per_second", median(bare), "rows/s");
  say("postgres", "rows_per_second", median(ours), "rows/s");
  say("postgres", "of_bare", median(ours) / median(bare), "ratio", "bare COPY");
}

async function inPostgres<Result>(
  work: (database: Database, url: string) => Promise<Result>,
): Promise<Result> {
  const world = await openPostgresWorld();
  const url = urlOf(world);
  const database = await openPostgres({ url, poolMax: WRITERS + 1, poolTimeoutSeconds: 30 });
  try {
    return await work(database, url);
  } finally {
    await database.close();
    await world.close();
  }
}

const urlOf = (world: BenchWorld): string => world.settings.DATABASE_URL ?? "";

async function overRpc(dimensions: number, rows: Rows): Promise<number> {
  return await inPostgres(async (_, url) => {
    const api = await startPostgrest(url);
    const database = await openSupabase({ url: api.url, key: api.key });
    const speed = await writeStaged(database, dimensions, rows, "rpc");
    await database.close();
    await api.close();
    return speed;
  });
}

async function embedded(dimensions: number, rows: Rows): Promise<number> {
  const world = await openEmbeddedWorld();
  const database = await openEmbedded({ dir: world.settings.RAG_EMBEDDED_DIR ?? "" });
  const speed = await writeStaged(database, dimensions, rows, "embedded");
  await database.close();
  await world.close();
  return speed;
}

/** Rows a second of WRITERS jobs at once. What is written is made before the clock starts. */
async function writeStaged(
  database: Database,
  dimensions: number,
  rows: Rows,
  amount: string,
): Promise<number> {
  const jobs: OpenDocument[] = [];
  for (let at = 0; at < WRITERS; at += 1) jobs.push(await openDocument(database, dimensions));
  return await timed(rows, ROWS[amount] ?? 0, async (writer, chunks) => {
    const job = jobs[writer];
    if (job === undefined) throw new Error("a writer without a job");
    const progress = { processedSegments: 1, tokens: 1, costUsd: 0 };
    await database.stageChunks({ jobId: job.jobId, token: job.token, chunks, progress });
  });
}

async function writeBare(database: Database, url: string, dimensions: number, rows: Rows): Promise<number> {
  const documents: string[] = [];
  for (let at = 0; at < WRITERS; at += 1)
    documents.push((await openDocument(database, dimensions)).documentId);
  const writers = documents.map(() => openBareWriter(url));
  try {
    return await timed(rows, ROWS.copy ?? 0, (writer, chunks) =>
      // SAFETY: there are as many writers and documents as `timed` has.
      (writers[writer] as (typeof writers)[number]).write(
        "public.rag_document_chunks",
        documents[writer] as string,
        chunks,
      ),
    );
  } finally {
    await Promise.all(writers.map((writer) => writer.close()));
  }
}

async function timed(
  rows: Rows,
  amount: number,
  write: (writer: number, chunks: ReturnType<Rows["chunk"]>[]) => Promise<void>,
): Promise<number> {
  const batches = Array.from({ length: amount / BATCH / WRITERS }, (_, batch) =>
    Array.from({ length: WRITERS }, (_, writer) =>
      Array.from({ length: BATCH }, (_, at) =>
        rows.chunk((batch * WRITERS + writer) * BATCH + at, batch * BATCH + at),
      ),
    ),
  );
  const startedAt = performance.now();
  await Promise.all(
    Array.from({ length: WRITERS }, async (_, writer) => {
      for (const batch of batches) await write(writer, batch[writer] ?? []);
    }),
  );
  return (1000 * amount) / (performance.now() - startedAt);
}
