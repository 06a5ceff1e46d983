// What an entry of the history was, in the words of the queue: whoever acted, through whichever function.
import type { CallEntry, JobEntry } from "./history.ts";

export type Act =
  | "insert"
  | "claim"
  | "complete"
  | "retry"
  | "release"
  | "fail"
  /** A claim whose answer was lost, given back by the worker's own keeper. */
  | "orphan"
  /** A worker that stops gives back what it holds. */
  | "retire"
  /** The reaper takes a job whose worker is gone. */
  | "rescue"
  | "cancel"
  | "requeue"
  /** An operator's own statement. */
  | "by-hand"
  | "unknown";

const byFunction: Readonly<Record<string, Act>> = {
  rag_claim_jobs: "claim",
  rag_complete_job: "complete",
  rag_retry_job: "retry",
  rag_release_job: "release",
  rag_fail_job: "fail",
  rag_keep_leases: "orphan",
  rag_retire_worker: "retire",
  rag_reap: "rescue",
  rag_cancel_jobs: "cancel",
  rag_requeue_jobs: "requeue",
  rag_reset_stuck: "by-hand",
};
const byTransition: Readonly<Record<string, Act>> = {
  complete: "complete",
  retry: "retry",
  release: "release",
  fail: "fail",
};

/** Acts of a worker that must name the token of the row it changes. */
export const fenced: ReadonlySet<Act> = new Set<Act>(["complete", "retry", "release", "fail"]);

export function actOf(entry: JobEntry): Act {
  if (entry.from === null) return "insert";
  if (entry.to === "processing") return "claim";
  if (entry.from === "queued" && entry.to === "cancelled") return "cancel";
  if (entry.by === null) return "by-hand";
  const settled = byTransition[entry.transition ?? ""];
  if (entry.by === "rag_settle_and_claim") return settled ?? "rescue";
  return byFunction[entry.by] ?? "unknown";
}

/** What a call with a job and its token meant to do; "stage" for everything that is no settlement. */
export function meantBy(entry: CallEntry): Act | "stage" {
  const settled = byTransition[entry.transition ?? ""];
  if (settled !== undefined) return settled;
  const act = byFunction[entry.by];
  return act !== undefined && fenced.has(act) ? act : "stage";
}

/** Entries of one kind, by a key, each list in order. */
export function group<Entry>(
  entries: Iterable<Entry>,
  keyOf: (entry: Entry) => string,
): Map<string, Entry[]> {
  const groups = new Map<string, Entry[]>();
  for (const entry of entries) {
    const key = keyOf(entry);
    const list = groups.get(key);
    if (list === undefined) groups.set(key, [entry]);
    else list.push(entry);
  }
  return groups;
}
