// Writing while others search: ours, with its parts folded and indexed by the worker's own chores, beside the same rows
// copied into a table that carries a live HNSW index. Each writes as fast as it can for some seconds on top of five
// thousand rows, while one reader searches.
import { openActivity } from "../../../worker/activity/activity.ts";
import type { Database } from "../../../worker/database/database.ts";
import { openPostgres } from "../../../worker/database/postgres.ts";
import type { SqlSession } from "../../../worker/database/sql-session.ts";
import { vectorText } from "../../../worker/document/vector-text.ts";
import { startMaintenance } from "../../../worker/queue/maintenance.ts";
import { sleep } from "../../../worker/timing/durations.ts";
import type { BenchOptions } from "../figure.ts";
import { type BenchWorld, openPostgresWorld } from "../worlds.ts";
import { openBareWriter } from "./bare.ts";
import { completeDocument, openDocument } from "./documents.ts";
import { MODEL, type Rows } from "./rows.ts";

const LOADED = 5120;
const BATCH = 256;
const SECONDS = 10;
const SEARCH_PAUSE_MS = 100;
const QUERIES = 20;
const NEAREST = 10;
// Vectors that no row has.
const QUERIES_FROM = 50_000_000;

export type Say = (contestant: string, metric: string, value: number, unit: string, ratioTo?: string) => void;
// Small tables are scanned otherwise, and neither side should profit from that.
const USE_INDEXES = "set enable_seqscan = off; set hnsw.ef_search = 100";

type Search = (session: SqlSession, query: string) => Promise<readonly string[]>;

export async function benchLiveWriting(dimensions: number, rows: Rows, say: Say, options: BenchOptions) {
  options.progress(`${dimensions} dimensions, live index`);
  const capped = await inWorld((world, database) => writeCapped(world, database, dimensions, rows));
  options.progress(`${dimensions} dimensions, live search`);
  const ours = await inWorld((world, database) => writeOurs(world, database, dimensions, rows));
  for (const [contestant, run] of [
    ["live index", capped],
    ["ours, searched", ours],
  ] as const) {
    say(contestant, "rows_per_second", run.speed, "rows/s");
    say(contestant, "search_p50_before", run.before.p50, "ms");
    say(contestant, "search_p50", run.during.p50, "ms");
    say(contestant, "search_p95", run.during.p95, "ms");
    say(contestant, "recall_at_10", run.recall, "share");
  }
  say("ours, searched", "of_live_index", ours.speed / capped.speed, "ratio", "live index");
  say("ours, searched", "scanned_after", ours.scanned, "rows");
  say("ours, searched", "search_p50_after", ours.after.p50, "ms");
  say("ours, searched", "settled_after", ours.settledSeconds, "s");
}

async function inWorld<Result>(
  work: (world: BenchWorld, database: Database) => Promise<Result>,
): Promise<Result> {
  const world = await openPostgresWorld();
  const database = await openPostgres({
    url: world.settings.DATABASE_URL ?? "",
    poolMax: 4,
    poolTimeoutSeconds: 30,
  });
  return await work(world, database).finally(async () => {
    await database.close();
    await world.close();
  });
}

async function writeCapped(world: BenchWorld, database: Database, dimensions: number, rows: Rows) {
  const table = "public.bench_indexed";
  const { documentId } = await openDocument(database, dimensions);
  const writer = openBareWriter(world.settings.DATABASE_URL ?? "");
  const write = (from: number) =>
    writer.write(
      table,
      documentId,
      Array.from({ length: BATCH }, (_, at) => rows.chunk(from + at, from + at)),
    );
  await world.withSession(async (session) => {
    await session.script(`create table ${table} (like public.rag_document_chunks including defaults)`);
    for (let at = 0; at < LOADED; at += BATCH) await write(at);
    await session.script(`set maintenance_work_mem = '256MB';
      create index on ${table} using hnsw ((embedding::extensions.vector(${dimensions})) extensions.vector_cosine_ops)`);
  });
  const search: Search = async (session, query) =>
    (
      await session.query(
        `select content from ${table} order by embedding::extensions.vector(${dimensions})
           operator(extensions.<=>) $1::extensions.vector limit ${NEAREST}`,
        [query],
      )
    ).map((row) => String(row.content));
  const run = await searched(world, rows, search, async (until) => {
    let at = LOADED;
    for (; Date.now() < until; at += BATCH) await write(at);
    return at - LOADED;
  });
  const recall = await recallOf(
    world,
    rows,
    search,
    `select content from ${table} order by embedding
    operator(extensions.<=>) $1::extensions.vector limit ${NEAREST}`,
  );
  await writer.close();
  return { ...run, recall };
}

async function writeOurs(world: BenchWorld, database: Database, dimensions: number, rows: Rows) {
  const progress = { processedSegments: 1, tokens: 1, costUsd: 0 };
  const write = async (from: number) => {
    const { jobId, token, ...document } = await openDocument(database, dimensions);
    const chunks = Array.from({ length: BATCH }, (_, at) => rows.chunk(from + at, at));
    await database.stageChunks({ jobId, token, chunks, progress });
    await completeDocument(database, { jobId, token, ...document }, BATCH);
  };
  for (let at = 0; at < LOADED; at += BATCH) await write(at);
  await database.call("rag_ensure_vector_index", { p_model: MODEL, p_dimensions: dimensions });
  const search: Search = async (session, query) =>
    (
      await session.query(`select content from public.rag_search_chunks($1, $2, ${NEAREST}, '{}')`, [
        query,
        MODEL,
      ])
    ).map((row) => String(row.content));

  const maintenance = startMaintenance(database.call, openActivity(), {
    keepOriginals: false,
    activityRetentionDays: 90,
    indexMemoryMb: 256,
    buildsIndexes: true,
  });
  const run = await searched(world, rows, search, async (until) => {
    let at = LOADED;
    for (; Date.now() < until; at += BATCH) {
      await write(at);
      maintenance.wake();
    }
    return at - LOADED;
  });
  const scanned = await unindexed(database);
  const recall = await recallOf(
    world,
    rows,
    search,
    `select content from public.rag_live_chunks order by embedding operator(extensions.<=>) $1::extensions.vector limit ${NEAREST}`,
  );
  const startedAt = Date.now();
  // Until the open part is what it may be: less than an index is worth.
  for (let left = scanned; left > 15_360_000 / dimensions + 2000 && Date.now() - startedAt < 120_000; ) {
    maintenance.wake();
    await sleep(1000);
    left = await unindexed(database);
  }
  const settledSeconds = (Date.now() - startedAt) / 1000;
  await maintenance.stop();
  const after = await world.withSession((session) => latencies(session, rows, search));
  return { ...run, recall, scanned, after, settledSeconds };
}

async function unindexed(database: Database): Promise<number> {
  const figures = (await database.call("rag_vector_figures", {})) as {
    tail_chunks: number;
    unindexed_rows: number;
  };
  return figures.tail_chunks + figures.unindexed_rows;
}

/** Writes for some seconds while a reader searches; how fast that went, and how long searches took. */
async function searched(
  world: BenchWorld,
  rows: Rows,
  search: Search,
  write: (until: number) => Promise<number>,
) {
  return await world.withSession(async (session) => {
    await session.script(USE_INDEXES);
    const before = await latencies(session, rows, search);
    const startedAt = Date.now();
    let writing = true;
    const times: number[] = [];
    const reading = (async () => {
      for (let at = 0; writing; at += 1) {
        times.push(await timeOf(() => search(session, queryOf(rows, at % QUERIES))));
        await sleep(SEARCH_PAUSE_MS);
      }
    })();
    const written = await write(startedAt + SECONDS * 1000);
    const seconds = (Date.now() - startedAt) / 1000;
    writing = false;
    await reading;
    return { speed: written / seconds, before, during: quantiles(times) };
  });
}

async function latencies(session: SqlSession, rows: Rows, search: Search) {
  const times: number[] = [];
  for (let round = 0; round < 3; round += 1)
    for (let at = 0; at < QUERIES; at += 1)
      times.push(await timeOf(() => search(session, queryOf(rows, at))));
  return quantiles(times.slice(QUERIES));
}

async function recallOf(world: BenchWorld, rows: Rows, search: Search, exactly: string): Promise<number> {
  return await world.withSession(async (session) => {
    await session.script("set enable_indexscan = off");
    const exact: Set<string>[] = [];
    for (let at = 0; at < QUERIES; at += 1) {
      const hits = await session.query(exactly, [queryOf(rows, at)]);
      exact.push(new Set(hits.map((row) => String(row.content))));
    }
    await session.script(`set enable_indexscan = on; ${USE_INDEXES}`);
    let found = 0;
    for (const [at, nearest] of exact.entries())
      for (const hit of await search(session, queryOf(rows, at))) if (nearest.has(hit)) found += 1;
    return found / (QUERIES * NEAREST);
  });
}

const queryOf = (rows: Rows, at: number): string => vectorText(rows.vector(QUERIES_FROM + at));

async function timeOf(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return performance.now() - startedAt;
}

function quantiles(times: number[]) {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
  return { p50: at(0.5), p95: at(0.95) };
}
