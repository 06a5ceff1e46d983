// Who may change a job's row: the holder of its token, the reaper, an operator; and one holder at a time.
import { actOf, fenced, group, meantBy } from "./acts.ts";
import type { CallEntry, History, JobEntry } from "./history.ts";
import type { Violation } from "./violation.ts";

export function checkTransitions(history: History): readonly Violation[] {
  const jobs = history.filter((entry) => entry.kind === "job");
  const calls = history.filter((entry) => entry.kind === "call");
  return [
    ...[...group(jobs, (entry) => entry.job_id).values()].flatMap(checkOneJob),
    ...checkTokens(jobs),
    ...checkDocuments(jobs),
    ...checkCalls(calls),
  ];
}

const violation = (entry: JobEntry | CallEntry, rule: Violation["rule"], says: string): Violation => ({
  rule,
  subject: entry.job_id,
  says,
  seq: entry.seq,
});

/** The entries of one job must follow from each other, and each must be somebody's who was allowed to. */
function checkOneJob(entries: readonly JobEntry[]): readonly Violation[] {
  const found: Violation[] = [];
  let before: JobEntry | null = null;
  for (const entry of entries) {
    if (before !== null && (entry.from !== before.to || entry.from_token !== before.to_token)) {
      const was = `${before.to} with token ${before.to_token}`;
      const is = `${entry.from} with token ${entry.from_token}`;
      found.push(violation(entry, "broken-history", `The row was ${was} and then ${is}.`));
    }
    before = entry;
    const wrong = wrongIn(entry);
    if (wrong !== null) found.push(violation(entry, ...wrong));
  }
  return found;
}

function wrongIn(entry: JobEntry): readonly [Violation["rule"], string] | null {
  const act = actOf(entry);
  if (act === "insert") return null;
  const { from, to, by } = entry;
  if (act === "claim") {
    if (from === "queued") return null;
    return ["two-at-once", `${by} gave out a job that was ${from} with token ${entry.from_token}.`];
  }
  if (act === "unknown") return ["stale-transition", `${by} made it ${to}.`];
  if (act === "by-hand" && to !== "queued") return ["stale-transition", `Nobody made it ${to}.`];
  if (fenced.has(act)) {
    if (from !== "processing")
      return ["stale-transition", `${by} with token ${entry.acting_token} made a ${from} job ${to}.`];
    if (entry.acting_token !== entry.from_token)
      return [
        "stale-transition",
        `${by} with token ${entry.acting_token} made it ${to} while token ${entry.from_token} held it.`,
      ];
  }
  if ((act === "orphan" || act === "retire") && entry.from_worker !== entry.acting_worker)
    return ["stale-transition", `${entry.acting_worker} gave back a job of ${entry.from_worker}.`];
  return null;
}

/** A token is given out once, and a later claim of a job has a higher one. */
function checkTokens(jobs: readonly JobEntry[]): readonly Violation[] {
  const found: Violation[] = [];
  const givenTo = new Map<string, string>();
  const last = new Map<string, bigint>();
  for (const entry of jobs) {
    if (actOf(entry) !== "claim" || entry.to_token === null) continue;
    const other = givenTo.get(entry.to_token);
    if (other !== undefined)
      found.push(
        violation(entry, "two-at-once", `Its token ${entry.to_token} had been given to job ${other}.`),
      );
    givenTo.set(entry.to_token, entry.job_id);
    const token = BigInt(entry.to_token);
    if (token <= (last.get(entry.job_id) ?? -1n))
      found.push(violation(entry, "two-at-once", `Its token ${token} is not above the one before.`));
    last.set(entry.job_id, token);
  }
  return found;
}

/** One job of a document at work at a time. */
function checkDocuments(jobs: readonly JobEntry[]): readonly Violation[] {
  const found: Violation[] = [];
  const atWork = new Map<string, string>();
  for (const entry of jobs) {
    if (entry.document_id === null || entry.job_kind !== "document") continue;
    const working = atWork.get(entry.document_id);
    if (entry.to === "processing") {
      if (working !== undefined && working !== entry.job_id)
        found.push(
          violation(entry, "two-at-once", `It was claimed while job ${working} worked on its document.`),
        );
      atWork.set(entry.document_id, entry.job_id);
    } else if (working === entry.job_id) {
      atWork.delete(entry.document_id);
    }
  }
  return found;
}

/** A call that was answered with success had the row's token, or repeats one that had. */
function checkCalls(calls: readonly CallEntry[]): readonly Violation[] {
  const found: Violation[] = [];
  const succeeded = new Set<string>();
  for (const call of calls) {
    if (call.answer === "lease_lost" || call.answer === null) continue;
    const meant = meantBy(call);
    const key = `${call.job_id} ${call.lease_token} ${meant}`;
    const echoes = meant !== "stage" && succeeded.has(key);
    succeeded.add(key);
    if (echoes || call.standing?.token === call.lease_token) continue;
    const rule = meant === "stage" ? "stale-chunk" : "stale-transition";
    const stood = `${call.standing?.status ?? "gone"} with token ${call.standing?.token ?? "none"}`;
    found.push(
      violation(
        call,
        rule,
        `${call.by} with token ${call.lease_token} was answered "${call.answer}" while the row was ${stood}.`,
      ),
    );
  }
  return found;
}
