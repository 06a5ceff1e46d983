// What Prometheus scrapes. Counters are fed by events, so that they and the log lines cannot disagree; gauges are
// read when somebody scrapes. Labels come from short lists of ours (codes, providers), never from documents.
import { Counter, collectDefaultMetrics, Histogram, Registry } from "prom-client";
import type { Activity } from "../activity/activity.ts";
import type { ActivityLogFigures } from "../activity/activity-log.ts";
import type { EventName, Events } from "../activity/catalogue.ts";
import type { OwnServer } from "../embedders/embedder.ts";
import { openActivityMetrics } from "./activity-metrics.ts";
import { openAnalysisCounters } from "./analysis-metrics.ts";
import { openEmbeddingCounters } from "./embedding-metrics.ts";
import { type GaugeOptions, openGauges } from "./gauges.ts";
import { openOwnServerMetrics } from "./own-server-metrics.ts";
import { positive } from "./positive.ts";
import { openStepMetrics } from "./step-metrics.ts";
import { openWaysMetrics } from "./ways-metrics.ts";

export type Metrics = {
  readonly contentType: string;
  /** The text of one scrape. */
  scrape(): Promise<string>;
  /** Stops counting. */
  stop(): void;
};

export type MetricsOptions = GaugeOptions & {
  readonly activity: Activity;
  readonly activityLog: () => ActivityLogFigures;
  /** Where the embedder starts a server by itself: how that stands. */
  readonly server?: (() => Promise<OwnServer>) | undefined;
  /** Where users' WebSockets are served by this process too. */
  readonly gateway?: { readonly figures: () => Readonly<Record<string, string | number>> } | undefined;
};

const JOB_SECONDS = [0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 3600];
const MISNAMED = [
  "nodejs_active_handles_total",
  "nodejs_active_requests_total",
  "nodejs_active_resources_total",
];
const BUILD_SECONDS = [1, 3, 10, 30, 100, 300, 1000];

export function openMetrics(options: MetricsOptions): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  // Gauges under a counter's name, which promtool refuses; the same figures are there by type.
  for (const name of MISNAMED) registry.removeSingleMetric(name);
  const server = options.server && openOwnServerMetrics(registry, options.server);
  const ways = openWaysMetrics(registry, options.gateway);
  const count = openCounters(registry, { ...server?.counters, ...ways });
  const read = openGauges(registry, options);
  openActivityMetrics(registry, options.activityLog);
  const stop = options.activity.listen((name, facts) => count(name, facts));
  return {
    contentType: registry.contentType,
    async scrape() {
      await Promise.all([read(), server?.read()]);
      return await registry.metrics();
    },
    stop,
  };
}

type Counters = { readonly [Name in EventName]?: (facts: Events[Name]) => void };

function openCounters(
  registry: Registry,
  more: Counters = {},
): <Name extends EventName>(name: Name, facts: Events[Name]) => void {
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
  // There from the start, so that the first of them is an increase.
  for (const outcome of ["requeued", "failed"]) reaped.inc({ outcome }, 0);
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
  const rejected = new Counter({
    name: "rag_chunks_rejected_total",
    help: "Chunks that the embedding provider refused; each is recorded in rag_rejected_chunks.",
    labelNames: ["code"],
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
  const builds = new Histogram({
    name: "rag_vector_index_build_seconds",
    help: "Time of one build of a vector index by this worker.",
    buckets: BUILD_SECONDS,
    registers,
  });
  const embeddings = openEmbeddingCounters(registry);

  const counters: Counters = {
    ...embeddings,
    ...openAnalysisCounters(registry),
    ...openStepMetrics(registry),
    ...more,
    "vectors.indexed": (facts) => builds.observe(facts.durationMs / 1000),
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
    "chunk.rejected": (facts) => rejected.inc({ code: facts.code }),
    "leases.late": () => late.inc(),
    "jobs.reaped": (facts) => {
      reaped.inc({ outcome: "requeued" }, positive(facts.requeued));
      reaped.inc({ outcome: "failed" }, positive(facts.failed));
    },
    "original.fetched": (facts) => bytes.inc(positive(facts.bytes)),
  };
  return (name, facts) => counters[name]?.(facts);
}
