// How the queue and this worker stand, read when somebody scrapes.
import { Gauge, type Registry } from "prom-client";
import type { WorkerState } from "../queue/worker-state.ts";
import { openPacingGauges } from "./pacing-metrics.ts";
import type { ReadFigures } from "./queue-figures.ts";

export type GaugeOptions = {
  readonly state: () => WorkerState;
  readonly figures: ReadFigures;
  readonly version: string;
  readonly budgetUsd: number | null;
};

const conditions = ["starting", "working", "misconfigured", "database-lost", "stopping", "stopped"] as const;
// As rag_waiting_jobs names them.
const reasons = ["slot", "time", "backoff", "document", "pause", "cap", "worker", "kind"] as const;
const kinds = ["document", "reembed", "relationships", "sync"] as const;
const scopes = ["all", "kind", "tenant"] as const;
const NONE = { queued: 0, delayed: 0, processing: 0, oldest_queued_seconds: null };

/** The function that brings the gauges up to date before a scrape. */
export function openGauges(registry: Registry, options: GaugeOptions): () => Promise<void> {
  const registers = [registry];
  const gauge = (name: string, help: string) => new Gauge({ name, help, registers });
  const queue = new Gauge({
    name: "rag_queue_jobs",
    help: "Jobs in the queue by kind: ready, delayed (their time has not come) and processing; waiting ones are counted up to 10,000.",
    labelNames: ["kind", "status"],
    registers,
  });
  const waiting = new Gauge({
    name: "rag_queue_waiting_jobs",
    help: "Queued jobs by the reason why they wait; each is counted up to 10,000.",
    labelNames: ["reason"],
    registers,
  });
  const pauses = new Gauge({
    name: "rag_queue_pauses",
    help: "Pauses that stand now: of all jobs, of kinds, of tenants.",
    labelNames: ["scope"],
    registers,
  });
  const oldest = new Gauge({
    name: "rag_queue_oldest_seconds",
    help: "How long the oldest ready job of a kind has waited; 0 when none is ready.",
    labelNames: ["kind"],
    registers,
  });
  const longest = gauge(
    "rag_queue_longest_job_seconds",
    "Since the job at work was begun that was begun first; 0 when none is at work.",
  );
  const dead = gauge("rag_queue_dead_rows", "Dead rows of the queue that vacuum has not removed.");
  const unindexed = gauge(
    "rag_vectors_unindexed",
    "Live vectors that searches scan exactly because no index holds them yet.",
  );
  const indexed = gauge("rag_vectors_indexed", "Vectors in an index.");
  const indexes = gauge("rag_vector_indexes", "Vector indexes that a search looks into.");
  const snapshot = gauge(
    "rag_oldest_snapshot_age_seconds",
    "How long vacuum has been held back by the oldest snapshot, transaction or slot; absent when not visible.",
  );
  const workers = gauge("rag_workers", "Workers alive on this database.");
  const cost = gauge("rag_cost_today_usd", "What all replicas paid since midnight (UTC), in US dollars.");
  const budget = gauge("rag_daily_budget_usd", "RAG_DAILY_BUDGET_USD; absent when none is set.");
  if (options.budgetUsd === null) budget.remove();
  else budget.set(options.budgetUsd);
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

  const readPacing = openPacingGauges(registry);
  const readState = () => {
    const state = options.state();
    readPacing(state.pacing ?? null);
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
      for (const labelled of [queue, waiting, oldest, pauses]) labelled.reset();
      for (const single of [longest, workers, dead, snapshot, unindexed, indexed, indexes, cost])
        single.remove();
      return;
    }
    for (const kind of kinds) {
      const { queued, delayed, processing, oldest_queued_seconds } = figures.kinds[kind] ?? NONE;
      queue.set({ kind, status: "ready" }, queued - delayed);
      queue.set({ kind, status: "delayed" }, delayed);
      queue.set({ kind, status: "processing" }, processing);
      oldest.set({ kind }, oldest_queued_seconds ?? 0);
    }
    waiting.reset();
    for (const reason of reasons) waiting.set({ reason }, figures.waiting[reason] ?? 0);
    for (const scope of scopes)
      pauses.set({ scope }, figures.paused.filter((pause) => pause.scope === scope).length);
    longest.set(figures.longest_processing_seconds ?? 0);
    dead.set(figures.dead_rows);
    unindexed.set(figures.vectors.tail_chunks + figures.vectors.unindexed_rows);
    indexed.set(figures.vectors.indexed_rows);
    indexes.set(figures.vectors.indexes);
    cost.set(figures.today.cost_usd);
    if (figures.oldest_snapshot_seconds === null) snapshot.remove();
    else snapshot.set(figures.oldest_snapshot_seconds);
    workers.set(figures.workers.length);
  };
}
