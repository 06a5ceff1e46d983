// What happened to jobs, as entries of the activity log: ids, codes and figures, never a title or a text.
import type { Activity } from "./activity.ts";
import type { ActivityLog } from "./activity-log.ts";
import type { EventName, Events } from "./catalogue.ts";
import type { LogEntry } from "./log-entry.ts";

type Recorders = { readonly [Name in EventName]?: (facts: Events[Name]) => Omit<LogEntry, "activityType"> };

const recorders: Recorders = {
  "job.claimed": ({ kind, attempt, ...facts }) => ({
    ...namesOf(facts),
    metadata: { kind, attempt },
  }),
  "job.completed": ({ durationMs, tokens, chunks, reused, costUsd, unchanged, ...facts }) => ({
    ...namesOf(facts),
    processingTimeMs: durationMs,
    tokenCount: tokens,
    metadata: { chunks, reused, cost_usd: costUsd, unchanged },
  }),
  "job.retried": ({ code, attempt, ...facts }) => ({
    ...namesOf(facts),
    activityStatus: "warning",
    errorType: code,
    metadata: { attempt },
  }),
  "job.released": ({ code, delayMs, ...facts }) => ({
    ...namesOf(facts),
    activityStatus: "warning",
    errorType: code,
    metadata: { delay_ms: delayMs },
  }),
  "job.failed": ({ code, detail, attempt, ...facts }) => ({
    ...namesOf(facts),
    activityStatus: "error",
    errorType: code,
    errorMessage: detail,
    metadata: { attempt },
  }),
  "lease.lost": ({ heldMs, ...facts }) => ({
    ...namesOf(facts),
    activityStatus: "warning",
    processingTimeMs: heldMs,
  }),
  "jobs.reaped": ({ requeued, failed }) => ({ activityStatus: "warning", metadata: { requeued, failed } }),
};

/** Records until the returned function is called. */
export function recordJobs(activity: Activity, log: ActivityLog, workerId: string): () => void {
  return activity.listen((name, facts) => record(log, workerId, name, facts));
}

function record<Name extends EventName>(
  log: ActivityLog,
  workerId: string,
  name: Name,
  facts: Events[Name],
): void {
  const fields = recorders[name]?.(facts);
  if (fields === undefined) return;
  log.log({ ...fields, activityType: name, metadata: { ...fields.metadata, worker_id: workerId } });
}

const namesOf = ({ jobId, documentId }: { readonly jobId: string; readonly documentId: string | null }) => ({
  jobId,
  ...(documentId !== null && { documentId }),
});
