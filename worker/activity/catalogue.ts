// Everything worth telling, past tense, with the facts each event carries. The log line, the counter and
// whatever listens next all come from one saying, so they cannot disagree.
// Facts are numbers, names, codes and ids; never document text, vectors, keys or URLs with a query string.
import type { Failure } from "../failure/failure.ts";

/** A job that did not become complete. */
type Ended = { jobId: string; documentId: string | null; code: string };

/** `publish` is the settling of a job that is complete: its chunks go live with it. `settle` is any other. */
export const stepNames = [
  "fetch",
  "begin",
  "extract",
  "read",
  "chunk",
  "reuse",
  "embed",
  "stage",
  "analyse",
  "publish",
  "settle",
] as const;
export type StepName = (typeof stepNames)[number];

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
  /** A way in over a connection; kept: consumers of streams, plain: subjects without one. */
  "ingress.connected": { way: string; kept: number; plain: number };
  "ingress.lost": { way: string; code: string; advice: string };
  "ingress.regained": { way: string; afterMs: number };
  /** Its job is committed; `state` is what the database said. */
  "message.accepted": { way: string; group: string; state: string; jobId: string | null };
  /** It cannot become a job and lies in rag_dead_letters. */
  "message.buried": { way: string; group: string; code: string; letterId: string };
  /** Held without a stream when we had to stop. */
  "message.lost": { way: string; messages: number };
  /** One look through the document root. */
  "root.scanned": {
    files: number;
    enqueued: number;
    moved: number;
    deleted: number;
    gone: number;
    growing: number;
    failed: number;
    durationMs: number;
  };
  "root.refused": { code: string; advice: string };
  /** Where events go out; `way` is redis or supabase. */
  "realtime.connected": { way: string };
  "realtime.lost": { way: string; code: string; advice: string };
  "realtime.regained": { way: string; afterMs: number };
  /** A socket that the gateway ended, and why. */
  "gateway.dropped": { why: string; buffered: number };
  "leases.kept": { held: number; lost: number };
  "leases.late": { lateMs: number };
  "keeper.died": { thrown: string };
  "jobs.reaped": { requeued: number; failed: number };
  "vectors.indexed": { rows: number; parts: number; durationMs: number };
  /** Of a sync job: what is wrong, the first hundred of a run; `code` as in worker/integrity/findings.ts. */
  "integrity.found": { jobId: string; documentId: string | null; code: string };
  "integrity.repaired": { jobId: string; documentId: string | null; code: string; action: string };
  "sync.completed": {
    jobId: string;
    type: string;
    lookedAt: number;
    findings: number;
    repaired: number;
    skipped: number;
    durationMs: number;
  };
  "garbage.collected": { chunks: number; segments: number; originals: number };
  "job.claimed": {
    jobId: string;
    documentId: string | null;
    kind: string;
    attempt: number;
    documentKind: string | null;
    title: string | null;
    version: string | null;
    /** Whose document it is; never logged. */
    userId?: string | null;
  };
  "document.related": {
    jobId: string;
    documentId: string;
    written: number;
    removed: number;
    unresolved: number;
  };
  /**
   * A step of a job. `elapsedMs`: from its beginning to its end; `ownMs`: without what it waited for other steps, where
   * they run as one stream. `code` is empty when it went well. `counts`: what it had to do with.
   */
  "step.ended": {
    jobId: string;
    step: StepName;
    elapsedMs: number;
    ownMs: number;
    code: string;
    counts?: Readonly<Record<string, number>>;
  };
  /** A request to the embedding provider with texts of this job; it may carry those of others too. */
  "request.ended": {
    jobId: string;
    provider: string;
    model: string;
    /** Of this job, and all that the request carried. */
    texts: number;
    textsInRequest: number;
    tokensInRequest: number;
    elapsedMs: number;
    code: string;
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
    /** Left out, for the provider refused them. */
    rejected: number;
    tokens: number;
    costUsd: number | null;
    unchanged: boolean;
  };
  /** `failure` is for the log alone, which tells where a defect was thrown. */
  "job.retried": Ended & { detail: string; attempt: number; failure?: Failure };
  "job.released": Ended & { delayMs: number };
  "job.failed": Ended & { detail: string; attempt: number; failure?: Failure };
  "lease.lost": { jobId: string; documentId: string | null; heldMs: number };
  "embeddings.received": {
    provider: string;
    model: string;
    texts: number;
    tokens: number;
    durationMs: number;
  };
  "embeddings.failed": { provider: string; code: string; durationMs: number };
  /** Claude's answer to one question about a document, or to one of a batch; `code` where nothing came of it. */
  "analysis.answered": {
    provider: string;
    model: string;
    code: string;
    batch: boolean;
    inputTokens: number;
    cacheWriteTokens: number;
    cacheReadTokens: number;
    outputTokens: number;
    costUsd: number;
    durationMs: number;
  };
  "analysis.failed": { provider: string; code: string; durationMs: number };
  /** Nothing of a prompt came from the cache although another question had it before. */
  "analysis.uncached": { jobId: string; documentId: string; model: string; requests: number };
  "group.analysed": { jobId: string; documentId: string; code: string; done: number; left: number };
  /** Texts waited for `durationMs` because requests to the provider had to: by its limits, by its word, or it is away. */
  "requests.held": { provider: string; by: string; durationMs: number };
  /** Spans of traces that the collector took, or that were lost; `code` is empty when it took them. */
  "spans.exported": { spans: number; code: string };
  "traces.lost": { code: string; advice: string };
  "traces.regained": { afterMs: number };
  /** A llama-server of ours; it is started by the first text. */
  "llama.started": { pid: number | null; slots: number; durationMs: number };
  "llama.stopped": { pid: number | null; why: "idle" | "closing" };
  "llama.died": { pid: number | null; exitCode: number | null; signal: string | null };
  "llama.not-started": { code: string; advice: string };
  "chunk.rejected": { jobId: string; documentId: string; chunk: number; page: number | null; code: string };
  "provider.away": { provider: string; code: string; forMs: number };
  "provider.back": { provider: string };
  /** A batch at a provider; `outcome` as the provider calls it. */
  "batch.ended": { provider: string; outcome: string; code: string; tokens: number; costUsd: number };
  "original.fetched": { jobId: string; scheme: string; bytes: number; durationMs: number };
  "segments.extracted": { jobId: string; mediaType: string; segments: number; durationMs: number };
};

export type EventName = keyof Events;
