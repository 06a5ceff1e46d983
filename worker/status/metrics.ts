// What Prometheus scrapes. Counters are fed by events, so that they and the log lines cannot disagree; gauges are
// read when somebody scrapes. Labels come from short lists of ours (codes, providers), never from documents.
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { Activity } from "../activity/activity.ts";
import type { EventName, Events } from "../activity/catalogue.ts";
import type { WorkerState } from "../queue/worker-state.ts";
import type { ReadFigures } from "./queue-figures.ts";

export type Metrics = {
  readonly contentType: string;
  /** The text of one scrape. */
  scrape(): Promise<string>;
  /** Stops counting. */
  stop(): void;
};

export type MetricsOptions = {
  readonly activity: Activity;
  readonly state: () => WorkerState;
  readonly figures: ReadFigures;
  readonly version: string;
};

const JOB_SECONDS = [0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 3600];
const REQUEST_SECONDS = [0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 60];
const conditions = ["starting", "working", "misconfigured", "database-lost", "stopping", "stopped"] as const;
// As rag_waiting_jobs names them.
const reasons = ["slot", "time", "backoff", "document", "pause", "cap", "worker", "kind"] as const;

export function openMetrics(options: MetricsOptions): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const count = openCounters(registry);
  const read = openGauges(registry, options);
  const stop = options.activity.listen((name, facts) => count(name, facts));
  return {
    contentType: registry.contentType,
    async scrape() {
      await read();
      return await registry.metrics();
    },
    stop,
  };
}

type Counters = { readonly [Name in EventName]?: (facts: Events[Name]) => void };

function openCounters(registry: Registry): <Name extends EventName>(name: Name, facts: Events[Name]) => void {
  const registers = [registry];
  const jobs = new Counter({
    name: "rag_jobs_total",
    help: "Runs of jobs by how they ended; code is the failure's, empty when there was none.",
    labelNames: ["outcome", "code"],
    registers,
  });
  const claimed = new Counter({
    name: "rag_jobs_claimed_total",
    help: "Jobs taken from the queue.",
    registers,
  });
  const reaped = new Counter({
    name: "rag_jobs_reaped_total",
    help: "Jobs of workers that disappeared, by what became of them.",
    labelNames: ["outcome"],
    registers,
  });
  const jobSeconds = new Histogram({
    name: "rag_job_duration_seconds",
    help: "From claim to completion.",
    buckets: JOB_SECONDS,
    registers,
  });
  const chunks = new Counter({ name: "rag_chunks_total", help: "Chunks of completed documents.", registers });
  const reused = new Counter({
    name: "rag_chunks_reused_total",
    help: "Chunks of completed documents whose vector was there already.",
    registers,
  });
  const cost = new Counter({
    name: "rag_cost_usd_total",
    help: "What completed jobs cost, in US dollars, where the price is known.",
    registers,
  });
  const stored = new Counter({
    name: "rag_chunks_stored_total",
    help: "Chunks staged, visible or not.",
    registers,
  });
  const bytes = new Counter({
    name: "rag_original_bytes_total",
    help: "Bytes of originals fetched.",
    registers,
  });
  const late = new Counter({
    name: "rag_leases_late_total",
    help: "Renewals that came too late.",
    registers,
  });
  const embeddings = openEmbeddingCounters(registry);

  const counters: Counters = {
    ...embeddings,
    "job.claimed": () => claimed.inc(),
    "job.progressed": (facts) => stored.inc(positive(facts.stored)),
    "job.completed": (facts) => {
      jobs.inc({ outcome: facts.unchanged ? "unchanged" : "complete", code: "" });
      jobSeconds.observe(facts.durationMs / 1000);
      if (!facts.unchanged) chunks.inc(positive(facts.chunks));
      if (!facts.unchanged) reused.inc(positive(facts.reused));
      cost.inc(positive(facts.costUsd ?? 0));
    },
    "job.retried": (facts) => jobs.inc({ outcome: "retried", code: facts.code }),
    "job.released": (facts) => jobs.inc({ outcome: "released", code: facts.code }),
    "job.failed": (facts) => jobs.inc({ outcome: "failed", code: facts.code }),
    "lease.lost": () => jobs.inc({ outcome: "lease_lost", code: "job.lease-lost" }),
    "leases.late": () => late.inc(),
    "jobs.reaped": (facts) => {
      reaped.inc({ outcome: "requeued" }, positive(facts.requeued));
      reaped.inc({ outcome: "failed" }, positive(facts.failed));
    },
    "original.fetched": (facts) => bytes.inc(positive(facts.bytes)),
  };
  return (name, facts) => counters[name]?.(facts);
}

// A counter refuses less than nothing with an exception, and a listener must not throw.
const positive = (amount: number) => (amount > 0 ? amount : 0);

function openEmbeddingCounters(registry: Registry): Counters {
  const registers = [registry];
  const labelNames = ["provider"] as const;
  const requests = new Counter({
    name: "rag_embedding_requests_total",
    help: "Requests to the embedding provider, failed ones included.",
    labelNames,
    registers,
  });
  const failures = new Counter({
    name: "rag_embedding_failures_total",
    help: "Requests to the embedding provider that failed.",
    labelNames: ["provider", "code"],
    registers,
  });
  const texts = new Counter({
    name: "rag_embedding_texts_total",
    help: "Texts that were embedded.",
    labelNames,
    registers,
  });
  const tokens = new Counter({
    name: "rag_embedding_tokens_total",
    help: "Tokens that the embedding provider read.",
    labelNames,
    registers,
  });
  const seconds = new Histogram({
    name: "rag_embedding_request_duration_seconds",
    help: "Time of one request to the embedding provider.",
    labelNames,
    buckets: REQUEST_SECONDS,
    registers,
  });
  return {
    "embeddings.received": ({ provider, ...facts }) => {
      requests.inc({ provider });
      texts.inc({ provider }, positive(facts.texts));
      tokens.inc({ provider }, positive(facts.tokens));
      seconds.observe({ provider }, facts.durationMs / 1000);
    },
    "embeddings.failed": ({ provider, code, durationMs }) => {
      requests.inc({ provider });
      failures.inc({ provider, code });
      seconds.observe({ provider }, durationMs / 1000);
    },
  };
}

/** The function that brings the gauges up to date before a scrape. */
function openGauges(registry: Registry, options: MetricsOptions): () => Promise<void> {
  const registers = [registry];
  const gauge = (name: string, help: string) => new Gauge({ name, help, registers });
  const queue = new Gauge({
    name: "rag_queue_jobs",
    help: "Jobs in the queue: ready, delayed (their time has not come) and processing.",
    labelNames: ["status"],
    registers,
  });
  const waiting = new Gauge({
    name: "rag_queue_waiting_jobs",
    help: "Queued jobs by the reason why they wait; each is counted up to 10,000.",
    labelNames: ["reason"],
    registers,
  });
  const pauses = gauge("rag_queue_pauses", "Pauses of all jobs, of kinds and of tenants that stand now.");
  const oldest = gauge("rag_queue_oldest_seconds", "How long the oldest ready job has waited.");
  const dead = gauge("rag_queue_dead_rows", "Dead rows of the queue that vacuum has not removed.");
  const snapshot = gauge(
    "rag_oldest_snapshot_age_seconds",
    "How long vacuum has been held back by the oldest snapshot, transaction or slot; absent when not visible.",
  );
  const workers = gauge("rag_workers", "Workers alive on this database.");
  const known = gauge("rag_queue_figures_known", "1 when the queue's figures could be read just now.");
  const slots = gauge("rag_worker_slots", "Jobs this worker may do at once.");
  const busy = gauge("rag_worker_jobs", "Jobs this worker is doing.");
  const loopAge = gauge("rag_worker_loop_age_seconds", "Since the claim loop last came round.");
  const leaseAge = gauge("rag_worker_lease_age_seconds", "Since the database last renewed our leases.");
  const condition = new Gauge({
    name: "rag_worker_condition",
    help: "1 for the condition the worker is in.",
    labelNames: ["condition"],
    registers,
  });
  new Gauge({
    name: "rag_build_info",
    help: "The version that runs.",
    labelNames: ["version"],
    registers,
  }).set({ version: options.version }, 1);

  const readState = () => {
    const state = options.state();
    slots.set(state.slots);
    busy.set(state.jobs);
    loopAge.set(state.loopAgeMs / 1000);
    if (state.leaseAgeMs === null) leaseAge.remove();
    else leaseAge.set(state.leaseAgeMs / 1000);
    for (const name of conditions) condition.set({ condition: name }, name === state.condition ? 1 : 0);
  };
  return async () => {
    readState();
    const { figures, trouble } = await options.figures();
    known.set(trouble === null ? 1 : 0);
    if (figures === null || trouble !== null) {
      // Old figures would look like a queue that stands still, zeros like an empty one: none are better.
      for (const labelled of [queue, waiting]) labelled.reset();
      for (const single of [oldest, workers, pauses, dead, snapshot]) single.remove();
      return;
    }
    queue.set({ status: "ready" }, figures.queued - figures.delayed);
    queue.set({ status: "delayed" }, figures.delayed);
    queue.set({ status: "processing" }, figures.processing);
    waiting.reset();
    for (const reason of reasons) waiting.set({ reason }, figures.waiting[reason] ?? 0);
    pauses.set(figures.paused.length);
    oldest.set(figures.oldest_queued_seconds ?? 0);
    dead.set(figures.dead_rows);
    if (figures.oldest_snapshot_seconds === null) snapshot.remove();
    else snapshot.set(figures.oldest_snapshot_seconds);
    workers.set(figures.workers.length);
  };
}
