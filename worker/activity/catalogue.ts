// Everything worth telling, past tense, with the facts each event carries. The log line, the counter and
// whatever listens next all come from one saying, so they cannot disagree.
// Facts are numbers, names, codes and ids; never document text, vectors, keys or URLs with a query string.
import type { Failure } from "../failure/failure.ts";

export type Events = {
  "worker.started": {
    workerId: string;
    database: string;
    provider: string;
    model: string;
    http: string | null;
  };
  "worker.misconfigured": { code: string; advice: string };
  "worker.recovered": { afterMs: number };
  "worker.stopping": { signal: string; jobs: number };
  "worker.stopped": { released: number; seconds: number };
  "database.lost": { code: string; advice: string };
  "database.regained": { afterMs: number };
  "bus.connected": { bus: string };
  "bus.lost": { bus: string; code: string; advice: string };
  "bus.regained": { bus: string; afterMs: number };
  /** A trial notification did not arrive: no hint will. */
  "bus.deaf": { bus: string; code: string; advice: string };
  "leases.kept": { held: number; lost: number };
  "leases.late": { lateMs: number };
  "keeper.died": { thrown: string };
  "jobs.reaped": { requeued: number; failed: number };
  "garbage.collected": { chunks: number; segments: number; originals: number };
  "job.claimed": {
    jobId: string;
    documentId: string | null;
    kind: string;
    attempt: number;
    documentKind: string | null;
    title: string | null;
    version: string | null;
  };
  "job.measured": { jobId: string; documentId: string; segments: number };
  "job.progressed": {
    jobId: string;
    documentId: string;
    stage: string;
    processedSegments: number;
    totalSegments: number | null;
    processedChunks: number;
    totalChunks: number | null;
    reusedChunks: number;
    /** Chunks in the batch just stored. */
    stored: number;
  };
  "job.completed": {
    jobId: string;
    documentId: string | null;
    durationMs: number;
    chunks: number;
    reused: number;
    tokens: number;
    costUsd: number | null;
    unchanged: boolean;
  };
  /** `failure` is for the log alone, which tells where a defect was thrown. */
  "job.retried": { jobId: string; code: string; detail: string; attempt: number; failure?: Failure };
  "job.released": { jobId: string; code: string; delayMs: number };
  "job.failed": { jobId: string; code: string; detail: string; attempt: number; failure?: Failure };
  "lease.lost": { jobId: string; heldMs: number };
  "embeddings.received": {
    provider: string;
    model: string;
    texts: number;
    tokens: number;
    durationMs: number;
  };
  "embeddings.failed": { provider: string; code: string; durationMs: number };
  "original.fetched": { jobId: string; scheme: string; bytes: number; durationMs: number };
  "segments.extracted": { jobId: string; mediaType: string; segments: number; durationMs: number };
};

export type EventName = keyof Events;
