// Turns an Outcome into exactly one transition of the job's row, and tells what it was.
import { z } from "zod";
import type { Activity } from "../activity/activity.ts";
import type { Job, Lease } from "../document/lease.ts";
import type { Outcome } from "../document/outcome.ts";
import { sanitise } from "../document/sanitise.ts";
import type { SqlCall } from "../document/sql-call.ts";
import { describeFailure } from "../failure/describe.ts";
import { Failure } from "../failure/failure.ts";

export type Settled = "completed" | "failed" | "retried" | "released" | "lost";

const completeAnswer = z.discriminatedUnion("state", [
  z.object({
    state: z.literal("complete"),
    chunks: z.number(),
    reused: z.number(),
    tokens: z.number(),
    cost_usd: z.number(),
  }),
  z.object({ state: z.literal("incomplete"), chunks: z.number() }),
  z.object({ state: z.literal("lease_lost") }),
]);
const transition = z.enum(["queued", "failed", "lease_lost"]);

/** `heldMs`: how long this worker had the job. Throws `database.*` when the transition could not be made. */
export async function settle(
  call: SqlCall,
  activity: Activity,
  job: Job,
  outcome: Outcome,
  heldMs: number,
): Promise<Settled> {
  switch (outcome.kind) {
    case "lost":
      activity.say("lease.lost", { jobId: job.id, heldMs });
      return "lost";
    case "complete":
      return await complete(call, activity, job, outcome, heldMs);
    case "retry":
    case "fail":
    case "release":
      return await giveBack(call, activity, job, outcome, heldMs);
  }
}

/** A claimed row that cannot be read fails by its raw id and token; its neighbours go on. */
export async function failUnreadable(call: SqlCall, activity: Activity, lease: Lease): Promise<void> {
  const failure = new Failure("job.unreadable");
  const detail = describeFailure(failure);
  const fence = { p_job_id: lease.jobId, p_lease_token: lease.token };
  await call("rag_fail_job", { ...fence, p_error_code: failure.code, p_error_detail: detail });
  activity.say("job.failed", { jobId: lease.jobId, code: failure.code, detail, attempt: 1 });
}

async function complete(
  call: SqlCall,
  activity: Activity,
  job: Job,
  outcome: Extract<Outcome, { kind: "complete" }>,
  heldMs: number,
): Promise<Settled> {
  const answer = completeAnswer.parse(
    await call("rag_complete_job", {
      p_job_id: job.lease.jobId,
      p_lease_token: job.lease.token,
      p_chunks: outcome.chunks,
      p_segments: outcome.segments,
    }),
  );
  if (answer.state === "lease_lost") return await settle(call, activity, job, { kind: "lost" }, heldMs);
  if (answer.state === "incomplete") {
    const failure = new Failure("job.incomplete", {
      facts: { cut: outcome.chunks, stored: answer.chunks },
    });
    return await giveBack(call, activity, job, { kind: "retry", failure }, heldMs);
  }
  activity.say("job.completed", {
    jobId: job.id,
    documentId: job.document?.id ?? null,
    durationMs: heldMs,
    chunks: answer.chunks,
    reused: answer.reused,
    tokens: answer.tokens,
    costUsd: answer.cost_usd,
    unchanged: outcome.unchanged,
  });
  return "completed";
}

async function giveBack(
  call: SqlCall,
  activity: Activity,
  job: Job,
  outcome: Extract<Outcome, { kind: "retry" | "fail" | "release" }>,
  heldMs: number,
): Promise<Settled> {
  const { failure } = outcome;
  const error = { p_error_code: failure.code, p_error_detail: sanitise(describeFailure(failure)) };
  const fence = { p_job_id: job.lease.jobId, p_lease_token: job.lease.token };
  const facts = { jobId: job.id, code: failure.code };
  // Where it came from matters only for what nobody expected.
  const cause = failure.kind === "defect" ? { failure } : {};
  const detail = { ...facts, detail: error.p_error_detail, attempt: job.attempt, ...cause };
  if (outcome.kind === "release") {
    // A worker that stops has nothing to say about the job.
    const why = failure.kind === "stopping" ? { p_error_code: null, p_error_detail: null } : error;
    const answer = transition.parse(
      await call("rag_release_job", { ...fence, ...why, p_delay_seconds: outcome.delayMs / 1000 }),
    );
    if (answer === "lease_lost") return await settle(call, activity, job, { kind: "lost" }, heldMs);
    activity.say("job.released", { ...facts, delayMs: outcome.delayMs });
    return "released";
  }
  const name = outcome.kind === "retry" ? "rag_retry_job" : "rag_fail_job";
  const answer = transition.parse(await call(name, { ...fence, ...error }));
  if (answer === "lease_lost") return await settle(call, activity, job, { kind: "lost" }, heldMs);
  activity.say(answer === "failed" ? "job.failed" : "job.retried", detail);
  return answer === "failed" ? "failed" : "retried";
}
