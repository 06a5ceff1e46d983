// Turns an Outcome into exactly one transition of the job's row, and tells what it was.
import { z } from "zod";
import type { Activity } from "../activity/activity.ts";
import type { Job, Lease } from "../document/lease.ts";
import type { Outcome } from "../document/outcome.ts";
import { sanitise } from "../document/sanitise.ts";
import { describeFailure } from "../failure/describe.ts";
import { Failure } from "../failure/failure.ts";

export type Settled = "completed" | "failed" | "retried" | "released" | "lost";

/** A transition as rag_settle_and_claim takes it. */
export type Transition = Readonly<Record<string, string | number | boolean | null>>;

/** A job whose run has ended, and how. */
export type Ended = {
  readonly job: Job;
  readonly outcome: Exclude<Outcome, { kind: "lost" }>;
  /** Milliseconds that this worker had the job, and when (performance.now()) its run ended. */
  readonly heldMs: number;
  readonly endedAt: number;
};

const answerOf = z.union([
  // Nothing was to be done: no chunks, no generation begun.
  z.literal("complete"),
  z.enum(["queued", "failed", "lease_lost"]),
  z.object({
    state: z.literal("complete"),
    chunks: z.number(),
    reused: z.number(),
    rejected: z.number(),
    tokens: z.number(),
    cost_usd: z.number(),
  }),
  z.object({ state: z.literal("incomplete"), chunks: z.number() }),
  z.object({ state: z.literal("model_mismatch") }),
  z.object({ state: z.literal("lease_lost") }),
]);

export function transitionOf({ job, outcome }: Ended): Transition {
  const fence = { job_id: job.lease.jobId, lease_token: job.lease.token };
  switch (outcome.kind) {
    case "complete":
      return {
        ...fence,
        transition: "complete",
        chunks: outcome.chunks,
        segments: outcome.segments,
        rejected: outcome.rejected,
        ...(outcome.relate && { relate: true }),
      };
    case "retry":
    case "fail":
      return { ...fence, transition: outcome.kind, ...errorOf(outcome.failure) };
    case "release":
      return {
        ...fence,
        transition: "release",
        delay_seconds: outcome.delayMs / 1000,
        // A worker that stops has nothing to say about the job.
        ...(outcome.failure.kind === "stopping" ? {} : errorOf(outcome.failure)),
      };
  }
}

/** A claimed row that cannot be read fails by its raw id and token. */
export function unreadableTransition(lease: Lease): Transition {
  const fence = { job_id: lease.jobId, lease_token: lease.token };
  return { ...fence, transition: "fail", ...errorOf(new Failure("job.unreadable")) };
}

export function sayUnreadable(activity: Activity, lease: Lease): void {
  const failure = new Failure("job.unreadable");
  const detail = describeFailure(failure);
  activity.say("job.failed", {
    jobId: lease.jobId,
    documentId: null,
    code: failure.code,
    detail,
    attempt: 1,
  });
}

const errorOf = (failure: Failure) => ({
  error_code: failure.code,
  error_detail: sanitise(describeFailure(failure)),
});

/**
 * What became of the job, told; or the outcome to settle instead: a job that the database does not find whole is
 * tried again. `answer` is what the database said to its transition.
 */
export function readSettled(answer: unknown, ended: Ended, activity: Activity): Settled | Ended {
  const { job, outcome } = ended;
  const read = answerOf.parse(answer);
  const state = typeof read === "string" ? read : read.state;
  if (state === "lease_lost") return sayLost(activity, job, ended.heldMs);
  const elapsedMs = performance.now() - ended.endedAt;
  const step = state === "complete" ? "publish" : "settle";
  activity.say("step.ended", { jobId: job.id, step, elapsedMs, ownMs: elapsedMs, code: "" });
  if (outcome.kind !== "complete") return sayGivenBack(activity, ended, state === "failed");
  if (typeof read === "object" && read.state === "incomplete") {
    const facts = { cut: outcome.chunks, stored: read.chunks };
    return { ...ended, outcome: { kind: "retry", failure: new Failure("job.incomplete", { facts }) } };
  }
  if (typeof read === "object" && read.state === "model_mismatch") {
    // The model was changed in mid-run: whoever has the live one begins anew.
    const failure = new Failure("embed.model-mismatch");
    return { ...ended, outcome: { kind: "release", failure, delayMs: 0 } };
  }
  const counted = typeof read === "object" && read.state === "complete" ? read : NOTHING;
  activity.say("job.completed", {
    ...namesOf(job),
    durationMs: ended.heldMs,
    chunks: counted.chunks,
    reused: counted.reused,
    rejected: counted.rejected,
    tokens: counted.tokens,
    costUsd: counted.cost_usd,
    unchanged: outcome.unchanged,
  });
  return "completed";
}

const NOTHING = { chunks: 0, reused: 0, rejected: 0, tokens: 0, cost_usd: 0 };

export function sayLost(activity: Activity, job: Job, heldMs: number): Settled {
  activity.say("lease.lost", { ...namesOf(job), heldMs });
  return "lost";
}

function sayGivenBack(activity: Activity, { job, outcome }: Ended, failed: boolean): Settled {
  if (outcome.kind === "complete") return "lost";
  const { failure } = outcome;
  const facts = { ...namesOf(job), code: failure.code };
  if (outcome.kind === "release") {
    activity.say("job.released", { ...facts, delayMs: outcome.delayMs });
    return "released";
  }
  // Where it came from matters only for what nobody expected.
  const cause = failure.kind === "defect" ? { failure } : {};
  const detail = sanitise(describeFailure(failure));
  activity.say(failed ? "job.failed" : "job.retried", { ...facts, detail, attempt: job.attempt, ...cause });
  return failed ? "failed" : "retried";
}

const namesOf = (job: Job) => ({ jobId: job.id, documentId: job.document?.id ?? null });
