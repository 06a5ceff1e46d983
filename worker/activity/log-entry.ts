// One entry of the activity log, as applications write it and as the database stores it.
import { randomBytes } from "node:crypto";
import { sanitise, sanitiseJson } from "../document/sanitise.ts";

export type LogEntry = {
  /** What happened: one of the field's common types, or a name of the application's own. */
  readonly activityType: ActivityType | (string & {});
  /** Default `success`. */
  readonly activityStatus?: "success" | "error" | "warning";
  readonly sessionId?: string;
  readonly userId?: string;
  readonly tenantId?: string;
  readonly documentId?: string;
  readonly jobId?: string;
  /** Kept only because the caller says so; the worker itself never gives content. */
  readonly messageContent?: string;
  readonly responseContent?: string;
  readonly tokenCount?: number;
  readonly retrievalSkipped?: boolean;
  readonly similarityScore?: number;
  readonly processingTimeMs?: number;
  readonly llmCallDurationMs?: number;
  readonly retrievalDurationMs?: number;
  readonly errorMessage?: string;
  readonly errorType?: string;
  readonly userAgent?: string;
  readonly ipAddress?: string;
  readonly metadata?: Readonly<Record<string, unknown>>;
};

export type ActivityType =
  | "message_sent"
  | "retrieval_executed"
  | "retrieval_skipped"
  | "token_overflow"
  | "sliding_window_enforced"
  | "llm_error"
  | "retrieval_error"
  | "session_created"
  | "session_expired"
  | "cascade_deletion"
  | "job.claimed"
  | "job.completed"
  | "job.retried"
  | "job.released"
  | "job.failed"
  | "lease.lost"
  | "jobs.reaped";

/** An entry that waits, and when it came (milliseconds since 1970, by this machine's clock). */
export type HeldEntry = { readonly entry: LogEntry; readonly at: number };

/** A row as `rag_append_activity` takes it, but for its age, which is told when it is sent. */
export type LogRow = Readonly<Record<string, unknown>> & { readonly log_id: string; readonly at: number };

const UUID = /^[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}$/i;

/** Safe to store: no NUL, no half letter, no number that JSON lacks, no id that is none. */
export function toRow({ entry, at }: HeldEntry): LogRow {
  return {
    log_id: timedId(at),
    at,
    session_id: text(entry.sessionId),
    user_id: text(entry.userId),
    tenant_id: text(entry.tenantId),
    document_id: uuid(entry.documentId),
    job_id: uuid(entry.jobId),
    activity_type: text(entry.activityType) ?? "unknown",
    activity_status: statuses.has(entry.activityStatus ?? "") ? entry.activityStatus : "success",
    message_content: text(entry.messageContent),
    response_content: text(entry.responseContent),
    token_count: whole(entry.tokenCount),
    retrieval_skipped: entry.retrievalSkipped ?? null,
    similarity_score: finite(entry.similarityScore),
    processing_time_ms: finite(entry.processingTimeMs),
    llm_call_duration_ms: finite(entry.llmCallDurationMs),
    retrieval_duration_ms: finite(entry.retrievalDurationMs),
    error_message: text(entry.errorMessage),
    error_type: text(entry.errorType),
    user_agent: text(entry.userAgent),
    ip_address: text(entry.ipAddress),
    metadata: entry.metadata === undefined ? null : sanitiseJson(entry.metadata),
  };
}

/** About how many UTF-16 units an entry holds on to. */
export function sizeOf(entry: LogEntry): number {
  let size = 200;
  for (const field of [entry.messageContent, entry.responseContent, entry.errorMessage])
    size += field?.length ?? 0;
  return size;
}

const statuses = new Set(["success", "error", "warning"]);

// Whatever an application hands over without types must not cost the entries beside it.
const text = (value: unknown) => (value === undefined || value === null ? null : sanitise(String(value)));
const uuid = (value: string | undefined) => (value !== undefined && UUID.test(value) ? value : null);
const finite = (value: number | undefined) => (Number.isFinite(value) ? value : null);
const whole = (value: number | undefined) => (Number.isFinite(value) ? Math.round(Number(value)) : null);

/** UUID version 7 (RFC 9562, 5.7): 48 bits of time, then chance, so that rows of one time lie together. */
function timedId(at: number): string {
  const bytes = randomBytes(16);
  bytes.writeUIntBE(Math.max(0, Math.trunc(at)), 0, 6);
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x70;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = bytes.toString("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
