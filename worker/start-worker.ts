// Starts a worker from its parts: what has to be right first, what serves its jobs, and the order in which they end.
import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import type { Activity } from "./activity/activity.ts";
import type { ActivityLog } from "./activity/activity-log.ts";
import { recordJobs } from "./activity/record-jobs.ts";
import type { ChunkLimits } from "./chunkers/chunker.ts";
import type { Chunker } from "./chunkers/open-chunker.ts";
import type { Config } from "./config/config.ts";
import { BATCH_PRICE_SHARE } from "./config/prices.ts";
import { type Ledger, openLedger, type Spent } from "./costs/ledger.ts";
import type { Database } from "./database/database.ts";
import { postgresLines } from "./database/postgres-line.ts";
import { memoryBytes, originsOfSync } from "./derived-options.ts";
import { type Embedder, identityOf } from "./embedders/embedder.ts";
import { openConfiguredBatches } from "./embedders/open-embedder.ts";
import type { Extractors } from "./extractors/isolation/extract-isolated.ts";
import { Failure } from "./failure/failure.ts";
import { startWaysIn } from "./ingress/start-ways-in.ts";
import { startSyncInterval } from "./integrity/sync-interval.ts";
import { openSyncing } from "./integrity/sync-job.ts";
import { openBatchTexts } from "./pipeline/batch-texts.ts";
import { checkBatchMode, openEmbeddingBatches } from "./pipeline/embedding-batches.ts";
import { startLlmBatches } from "./pipeline/llm-batches.ts";
import { openAnalysis } from "./pipeline/open-analysis.ts";
import { openEmbedding } from "./pipeline/open-embedding.ts";
import { openPipeline } from "./pipeline/run-job.ts";
import { checkDatabase, checkEmbedder } from "./queue/check-start.ts";
import type { KeepOptions } from "./queue/keep-leases.ts";
import { type LeaseKeeper, openLeaseKeeper } from "./queue/lease-keeper.ts";
import { startMaintenance } from "./queue/maintenance.ts";
import { startWorker as startClaimLoop } from "./queue/worker.ts";
import type { RunningWorker, WorkerOptions } from "./queue/worker-state.ts";
import type { Realtime } from "./realtime/open-realtime.ts";
import { openRelating } from "./relationships/relate-job.ts";
import type { Sources } from "./sources/open-source.ts";
import { within } from "./timing/durations.ts";
import { openTracing } from "./tracing/open-tracing.ts";
import { openWakeBus } from "./wake-buses/open-wake-bus.ts";

/** The parts that serve a worker; whoever opened them closes them. */
export type Serving = {
  readonly config: Config;
  readonly activity: Activity;
  readonly database: Database;
  /** What happened, on its way into the database; opened at the first call. */
  activityLog(): ActivityLog;
  /** Opened at the first call. */
  embedder(): Promise<Embedder>;
  chunker(): Promise<Chunker & { readonly limits: ChunkLimits }>;
  extractors(): Extractors;
  sources(): Promise<Sources>;
  /** Events of this process's jobs, on their way out; opened at the first call. */
  realtime(): Realtime;
};

const MOST_CHUNKS = 1_000_000;
const CHECK_MS = 60_000;
// What serves the jobs has this long to end when the worker does.
const CLOSE_MS = 2000;
// An embedded database is asked more often: it costs nobody else anything.
const EMBEDDED_IDLE_MS = 1000;

/** Checks what must be right, then claims. Throws a Failure (`misconfigured`) when it cannot work at all. */
export async function startWorker(
  parts: Serving,
  options: WorkerOptions & { readonly signal: AbortSignal },
): Promise<RunningWorker> {
  const { config, activity, database } = parts;
  const identity = { workerId: nameWorker(config), leaseSeconds: config.leaseSeconds };
  // Both load their code beside what follows.
  const warm = parts.extractors().warm();
  const keeper = openLeaseKeeper({
    ...identity,
    activity,
    call: database.call,
    stallSeconds: config.stallSeconds,
    connection: database.transport === "embedded" ? null : config,
  });
  try {
    return await startWith({ ...parts, identity, keeper, warm }, options);
  } catch (thrown) {
    await keeper.stop();
    throw thrown;
  }
}

type Started = Serving & {
  readonly identity: KeepOptions;
  readonly keeper: LeaseKeeper;
  readonly warm: Promise<void>;
};

async function startWith(
  parts: Started,
  options: WorkerOptions & { readonly signal: AbortSignal },
): Promise<RunningWorker> {
  const { config, activity, database, identity, keeper, warm } = parts;
  const { workerId } = identity;
  const sources = await parts.sources();
  const embedder = await parts.embedder();
  await checkDatabase(database.call, embedder);
  await checkEmbedder(embedder, AbortSignal.any([options.signal, AbortSignal.timeout(CHECK_MS)]));
  options.signal.throwIfAborted();
  const ledger = await openLedger({ call: database.call, workerId, budgetUsd: budgetOf(config, embedder) });
  const batches = config.openaiBatch ? await openBatches(parts, embedder, ledger, workerId) : null;
  const { call } = database;
  const { signal } = options;
  const analysis = await openAnalysis(config, { activity, call, ledger, workerId, signal });
  const {
    embed,
    pacing,
    close: closeBatcher,
  } = openEmbedding(embedder, config, {
    activity,
    call: database.call,
    ledger,
    replica: workerId,
  });
  const run = openPipeline({
    call: database.call,
    stage: database.stageChunks,
    activity,
    fetch: (document, signal) => sources.fetch(document, signal),
    extract: (original, signal) => parts.extractors().extract(original, signal),
    chunker: await parts.chunker(),
    embedder,
    embed,
    batches: batches?.texts ?? null,
    analysis: analysis.analysing,
    store: {
      batch: config.embeddingBatch,
      // Two more than the provider takes at once, so that it never waits for the database.
      inFlight: config.embeddingConcurrency + 2,
      mostChunks: MOST_CHUNKS,
    },
    onBadChunk: config.onBadChunk,
    stallMs: config.stallSeconds * 1000,
    relates: config.relationships,
    others: {
      relationships: openRelating(database.call, activity, config),
      sync: openSyncing(database.call, activity, originsOfSync(config), config),
    },
  });
  let isBusy = () => false;
  const stopSyncInterval = startSyncInterval(database.call, config);
  const maintenance = startMaintenance(database.call, activity, {
    ...config,
    isBusy: () => isBusy(),
    // The embedded engine is one session: it would serve nobody while it builds.
    buildsIndexes: database.transport !== "embedded",
  });
  parts.realtime();
  const tracing = await openTracing(config, { activity, call, workerId });
  const stopRecording = recordJobs(activity, parts.activityLog(), workerId);
  let wake = () => {};
  const hints = await openWakeBus(
    {
      ...config,
      activity,
      openLine: config.databaseUrl === null ? null : postgresLines(config.databaseUrl),
    },
    () => wake(),
  );
  const ways = await startWaysIn({ config, call: database.call, activity, workerId, wake: () => wake() });
  const end = async () => {
    await Promise.all([keeper.stop(), within(CLOSE_MS, ways.close())]);
    // What could not be settled in time is given back without costing an attempt.
    await database.call("rag_retire_worker", { p_worker: workerId }).catch(() => {});
    stopRecording();
    const closed = Promise.all([closeBatcher(), batches?.stop(), analysis.stop()]).then(() => ledger.close());
    await within(
      CLOSE_MS,
      Promise.all([maintenance.stop(), stopSyncInterval(), hints.close(), tracing.close(), closed]),
    );
  };
  const kept = keeper.begin();
  // Loads the vocabulary (up to half a second) before the first job is held up by it.
  embedder.tokenizer.count("canary");
  // A job that waits for a child that is still starting could have been another replica's.
  await Promise.all([kept, warm]);
  // Whoever started us has gone on without us: nothing may be claimed any more.
  if (options.signal.aborted) await end();
  options.signal.throwIfAborted();
  const worker = startClaimLoop(
    { call: database.call, activity, run, keeper, hints, chores: maintenance.wake },
    {
      ...identity,
      kinds: config.kinds,
      model: identityOf(embedder),
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
  isBusy = () => {
    const { jobs, slots } = worker.state();
    return jobs >= slots;
  };
  // The phases of the end, in order: no more claims and jobs settled (the loop itself), then whoever served them.
  const ended = worker.ended.finally(end);
  ended.catch(() => {});
  return {
    ...worker,
    state: () => ({ ...worker.state(), pacing: pacing() }),
    ended,
    async stop(reason) {
      await worker.stop(reason);
      await ended.catch(() => {});
    },
  };
}

/** Texts that go to the provider in batches, and the one who takes them there. Throws `config.invalid`. */
async function openBatches(
  { config, database, activity }: Serving,
  embedder: Embedder,
  ledger: Ledger,
  workerId: string,
) {
  checkBatchMode(embedder.provider, config.chunkStrategy);
  const { model, dimensions } = embedder;
  const priceUsdPerMillionTokens = (embedder.priceUsdPerMillionTokens ?? 0) * BATCH_PRICE_SHARE;
  const admit = () => {
    if (priceUsdPerMillionTokens > 0) ledger.admit();
  };
  const priced = { model, dimensions, priceUsdPerMillionTokens };
  const api = await openConfiguredBatches(config, embedder);
  const paid = { admit, add: (spent: Spent) => ledger.add(spent) };
  const work = openEmbeddingBatches({
    ...priced,
    call: database.call,
    activity,
    api,
    ledger: paid,
    workerId,
  });
  const { stop } = startLlmBatches(work, activity);
  return { texts: openBatchTexts({ ...priced, admit }), stop };
}

/** The cap, where there is one. Throws `config.invalid` when nobody could tell whether it is reached. */
function budgetOf(config: Config, embedder: Embedder): number | null {
  if (config.dailyBudgetUsd !== null && embedder.priceUsdPerMillionTokens === null)
    throw new Failure("config.invalid", {
      says: `RAG_DAILY_BUDGET_USD cannot be kept: nobody knows the price of ${embedder.model}. Set RAG_PRICES, as in {"${embedder.model}": 0.02}; 0 where it costs nothing.`,
    });
  return config.dailyBudgetUsd;
}

// The last seconds of the grace time belong to closing what served the jobs.
const graceMs = (config: Config) => Math.max(500, config.graceSeconds * 1000 - 3000);

/**
 * Unique per start, also where RAG_WORKER_ID is the same each time: a restart under an old name would take the
 * jobs of the one that crashed for claims whose answer was lost, and give back their attempts for ever.
 */
function nameWorker(config: Config): string {
  const since = new Date().toISOString().slice(0, 19);
  const name = config.workerId ?? `${hostname()}/${process.pid}/${since}`;
  return `${name}/${randomBytes(3).toString("hex")}`;
}
