// What rag_queue_stats may answer, and what a worker may say of itself: a quiet day, for tests that change one thing.
import type { WorkerState } from "../../queue/worker-state.ts";
import type { QueueFigures } from "../queue-figures.ts";

export const someFigures: QueueFigures = {
  queued: 5,
  delayed: 2,
  processing: 1,
  kinds: {
    document: { queued: 4, delayed: 2, processing: 1, oldest_queued_seconds: 12.5 },
    sync: { queued: 1, delayed: 0, processing: 0, oldest_queued_seconds: 3 },
  },
  waiting: { slot: 2, time: 2, cap: 1 },
  capped: false,
  oldest_queued_seconds: 12.5,
  longest_processing_seconds: 42,
  paused: [],
  tenants_at_cap: [],
  last_day: {
    complete: 7,
    failed: 1,
    cancelled: 0,
    chunks: 90,
    reused_chunks: 4,
    tokens: 1,
    cost_usd: 0.1,
    seconds: 86_400,
  },
  today: { tokens: 1, cost_usd: 0.1 },
  last_hour_complete: 3,
  workers: ["host/1", "host/2"].map((worker_id) => ({ worker_id, jobs: 1, started_at: new Date(0) })),
  model: { model: "all-MiniLM-L6-v2", dimensions: 384 },
  vectors: { tail_chunks: 30, unindexed_rows: 4000, indexed_rows: 60_000, indexes: 2 },
  dead_rows: 40,
  oldest_snapshot: null,
  oldest_snapshot_seconds: 0,
};

export const someState: WorkerState = {
  workerId: "host/1",
  condition: "working",
  code: null,
  advice: null,
  jobs: 1,
  slots: 4,
  loopAgeMs: 20,
  leaseAgeMs: 500,
};

export const someActivity = { queue_length: 3, queue_full: false, dropped: 2, stored: 40, spilled: 1 };
