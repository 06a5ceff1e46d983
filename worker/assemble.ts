// Builds every part from the configuration and joins them. The only file that knows all rooms.
import { randomBytes } from "node:crypto";
import { availableParallelism, hostname, tmpdir, totalmem, userInfo } from "node:os";
import { join, resolve } from "node:path";
import { type Activity, openActivity } from "./activity/activity.ts";
import type { ChunkLimits } from "./chunkers/chunker.ts";
import { type Chunker, openChunker } from "./chunkers/open-chunker.ts";
import type { Config } from "./config/config.ts";
import type { Database } from "./database/database.ts";
import { openDatabase } from "./database/open-database.ts";
import { postgresLines } from "./database/postgres-line.ts";
import type { Embedder } from "./embedders/embedder.ts";
import { openEmbedder } from "./embedders/open-embedder.ts";
import { type Extractors, openExtractors } from "./extractors/extract-isolated.ts";
import { Failure } from "./failure/failure.ts";
import type { Log } from "./log/log.ts";
import { openEmbedding, probe } from "./pipeline/open-embedding.ts";
import { openPipeline } from "./pipeline/run-job.ts";
import { checkDatabase, checkEmbedder } from "./queue/check-start.ts";
import { openLeaseKeeper } from "./queue/lease-keeper.ts";
import { startMaintenance } from "./queue/maintenance.ts";
import { startWorker as startClaimLoop } from "./queue/worker.ts";
import type { RunningWorker, WorkerOptions } from "./queue/worker-state.ts";
import { openSources, type Sources } from "./sources/open-source.ts";
import { orAborted, within } from "./timing/durations.ts";
import { openTokenizer } from "./tokenizers/open-tokenizer.ts";
import { openWakeBus } from "./wake-buses/open-wake-bus.ts";

export type Parts = {
  readonly config: Config;
  readonly activity: Activity;
  readonly log: Log;
  readonly database: Database;
  /** Opened at the first call. */
  embedder(): Promise<Embedder>;
  chunker(): Promise<Chunker & { readonly limits: ChunkLimits }>;
  extractors(): Extractors;
  sources(): Promise<Sources>;
  /** Checks what must be right, then claims. Throws a Failure (`misconfigured`) when it cannot work at all. */
  startWorker(options?: WorkerOptions): Promise<RunningWorker>;
  close(): Promise<void>;
};

// 200 MB of text is more than any book; above it a document is something else.
const MOST_CHARS = 400_000_000;
const MOST_CHUNKS = 1_000_000;
const CHECK_MS = 60_000;
// What serves the jobs has this long to end when the worker does.
const CLOSE_MS = 2000;
// An embedded database is asked more often: it costs nobody else anything.
const EMBEDDED_IDLE_MS = 1000;

export async function openParts(config: Config, log: Log): Promise<Parts> {
  const activity = openActivity();
  const database = await openDatabase(config);
  const closers: (() => Promise<void>)[] = [];
  const once = <Value>(open: () => Value, close: (value: Value) => Promise<void>): (() => Value) => {
    let value: { readonly opened: Value } | null = null;
    return () => {
      if (value === null) {
        const opened = open();
        value = { opened };
        closers.push(() => close(opened));
      }
      return value.opened;
    };
  };

  const embedder = once(
    () =>
      openEmbedder(config, {
        tokenizer: async (name) => openTokenizer(name),
        cacheDir: resolve(config.embeddedDir, "models"),
      }),
    async (opening) => {
      await (await opening.catch(() => null))?.close();
    },
  );
  const extractors = once(
    () => openExtractors(extraction(config)),
    (opened) => opened.close(),
  );
  const sources = once(
    () => openSources({ ...copyLimits(config), ...origins(config), call: database.call }),
    async () => {},
  );
  const chunker = async () => {
    const opened = await embedder();
    const limits = chunkLimits(config, opened.limits.maxTokensPerInput);
    return { ...openChunker(config.chunkStrategy, limits, opened.tokenizer), limits };
  };

  const parts: Parts = {
    config,
    activity,
    log,
    database,
    embedder,
    chunker,
    extractors,
    sources,
    startWorker: ({ signal = new AbortController().signal, ...options } = {}) =>
      orAborted(startWorker(parts, { signal, ...options }), signal),
    async close() {
      // One that is still opening (a model that loads) must not keep the process from ending.
      for (const close of closers.splice(0).reverse()) await within(CLOSE_MS, close());
      await database.close();
    },
  };
  return parts;
}

/** `maxTokens`: what the model reads at most. */
export function chunkLimits(config: Config, maxTokens: number): ChunkLimits {
  return {
    tokens: Math.min(config.chunkTokens, maxTokens),
    overlapTokens: config.chunkOverlapTokens,
    chars: config.embeddingCharLimit,
  };
}

/** How files are read: limits of one file, and how many at once. */
export function extraction(config: Config) {
  return {
    limits: {
      timeoutMs: config.extractTimeoutSeconds * 1000,
      memoryMb: config.extractMemoryMb,
      maxChars: MOST_CHARS,
    },
    // Parsing is work for a core; more children than cores only take memory.
    concurrency: Math.min(config.jobConcurrency, Math.max(2, availableParallelism())),
  };
}

async function startWorker(
  parts: Parts,
  options: WorkerOptions & { readonly signal: AbortSignal },
): Promise<RunningWorker> {
  const { config, activity, database } = parts;
  const warm = parts.extractors().warm();
  const sources = await parts.sources();
  const embedder = await parts.embedder();
  // Loads the vocabulary (up to half a second) before the first job is held up by it.
  embedder.tokenizer.count("canary");
  await checkDatabase(database.call, embedder);
  await checkEmbedder(embedder, AbortSignal.any([options.signal, AbortSignal.timeout(CHECK_MS)]));
  options.signal.throwIfAborted();
  const { embed, close: closeBatcher } = openEmbedding(embedder, config, activity);
  const workerId = nameWorker(config);
  const identity = { workerId, leaseSeconds: config.leaseSeconds };
  const keeper = await openLeaseKeeper({
    ...identity,
    activity,
    call: database.call,
    stallSeconds: config.stallSeconds,
    connection: database.transport === "embedded" ? null : config,
  });
  const run = openPipeline({
    call: database.call,
    activity,
    fetch: (document, signal) => sources.fetch(document, signal),
    extract: (original, signal) => parts.extractors().extract(original, signal),
    chunker: await parts.chunker(),
    embedder,
    embed,
    store: {
      batch: config.embeddingBatch,
      // Two more than the provider takes at once, so that it never waits for the database.
      inFlight: config.embeddingConcurrency + 2,
      mostChunks: MOST_CHUNKS,
    },
    probeProvider: () => probe(embedder),
    stallMs: config.stallSeconds * 1000,
  });
  const maintenance = startMaintenance(database.call, activity, config.keepOriginals);
  // A job that waits for a child that is still starting could have been another replica's.
  await warm;
  let wake = () => {};
  const hints = await openWakeBus(
    {
      ...config,
      activity,
      openLine: config.databaseUrl === null ? null : postgresLines(config.databaseUrl),
    },
    () => wake(),
  );
  const end = async () => {
    await keeper.stop();
    // What could not be settled in time is given back without costing an attempt.
    await database.call("rag_retire_worker", { p_worker: workerId }).catch(() => {});
    await within(CLOSE_MS, Promise.all([maintenance.stop(), hints.close(), closeBatcher()]));
  };
  // Whoever started us has gone on without us: nothing may be claimed any more.
  if (options.signal.aborted) await end();
  options.signal.throwIfAborted();
  const worker = startClaimLoop(
    { call: database.call, activity, run, keeper, hints, chores: maintenance.wake },
    {
      ...identity,
      kinds: config.kinds,
      slots: config.jobConcurrency,
      idleMs:
        database.transport === "embedded"
          ? Math.min(EMBEDDED_IDLE_MS, config.pollIntervalMs)
          : config.pollIntervalMs,
      graceMs: graceMs(config),
      memoryBytes: memoryBytes(config),
      once: options.once ?? false,
      watches: database.transport === "postgres",
    },
  );
  wake = worker.wake;
  // The phases of the end, in order: no more claims and jobs settled (the loop itself), then whoever served them.
  const ended = worker.ended.finally(end);
  ended.catch(() => {});
  return {
    ...worker,
    ended,
    async stop(reason) {
      await worker.stop(reason);
      await ended.catch(() => {});
    },
  };
}

// The last seconds of the grace time belong to closing what served the jobs.
const graceMs = (config: Config) => Math.max(500, config.graceSeconds * 1000 - 3000);

/** Above so many bytes of RSS no new job is claimed. */
export function memoryBytes(config: Config): number {
  if (config.memoryLimitMb !== null) return config.memoryLimitMb * 1024 * 1024;
  const constrained = process.constrainedMemory();
  const available = constrained > 0 && constrained < totalmem() ? constrained : totalmem();
  return available * 0.8;
}

/**
 * Unique per start, also where RAG_WORKER_ID is the same each time: a restart under an old name would take the
 * jobs of the one that crashed for claims whose answer was lost, and give back their attempts for ever.
 */
function nameWorker(config: Config): string {
  const since = new Date().toISOString().slice(0, 19);
  const name = config.workerId ?? `${hostname()}/${process.pid}/${since}`;
  return `${name}/${randomBytes(3).toString("hex")}`;
}

function copyLimits(config: Config) {
  return {
    tempDir: join(tmpdir(), `rag-worker-${userInfo().username}`),
    maxBytes: config.maxFileMb * 1024 * 1024,
  };
}

function origins(config: Config) {
  const { supabaseUrl, supabaseKey, documentRoot } = config;
  if (config.storageBucket !== null && (supabaseUrl === null || supabaseKey === null)) {
    throw new Failure("config.invalid", {
      says: "RAG_STORAGE_BUCKET needs SUPABASE_URL and SUPABASE_SERVICE_ROLE_KEY.",
    });
  }
  return {
    documentRoot,
    storage: supabaseUrl !== null && supabaseKey !== null ? { url: supabaseUrl, key: supabaseKey } : null,
  };
}
