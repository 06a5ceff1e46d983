// What every step of a job sees beside its input, and no more.
import type { Activity } from "../activity/activity.ts";
import type { Document } from "../document/document.ts";
import type { Job } from "../document/lease.ts";
import type { SqlCall } from "../document/sql-call.ts";
import type { StageChunks } from "../document/stage-chunks.ts";
import { Failure } from "../failure/failure.ts";
import type { HeardRequest } from "./embed-batch.ts";

export type StepContext = {
  readonly job: Job;
  readonly document: Document;
  readonly signal: AbortSignal;
  readonly call: SqlCall;
  readonly stage: StageChunks;
  readonly activity: Activity;
  /** A sign of life for the stall watch. */
  readonly touch: () => void;
};

/** Tells of the requests that carry this job's texts. */
export const hearOf =
  ({ activity, job }: Pick<StepContext, "activity" | "job">) =>
  (request: HeardRequest): void =>
    activity.say("request.ended", { jobId: job.id, ...request });

/** The lease as arguments of every fenced function. */
export const fenceOf = (job: Job) => ({ p_job_id: job.lease.jobId, p_lease_token: job.lease.token });

/** A fenced function said that the lease is someone else's: the end of this run. */
export const leaseLost = () => new Failure("job.lease-lost");

/** Waits for something that others hold up: a job that stands in line is not stalled. */
export async function waitInLine<Result>(
  step: Pick<StepContext, "touch">,
  wait: Promise<Result>,
): Promise<Result> {
  const alive = setInterval(step.touch, 1000);
  return await wait.finally(() => clearInterval(alive));
}
