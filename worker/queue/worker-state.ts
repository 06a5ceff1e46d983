// What a running worker says of itself: to /health, to the terminal, and to whoever waits for its end.
import type { PacingState } from "../embedders/pacing/pacer.ts";

export type WorkerCondition =
  | "starting"
  | "working"
  | "misconfigured"
  | "database-lost"
  | "stopping"
  | "stopped";

export type WorkerState = {
  readonly workerId: string;
  readonly condition: WorkerCondition;
  /** The failure code and the operator's sentence when the condition is not good; null otherwise. */
  readonly code: string | null;
  readonly advice: string | null;
  /** Jobs at work now, and how many may be. */
  readonly jobs: number;
  readonly slots: number;
  /** Milliseconds since the claim loop last came round; /live is red when it stands still. */
  readonly loopAgeMs: number;
  /** Milliseconds since the database last renewed our leases; null before the first time. */
  readonly leaseAgeMs: number | null;
  /** How the embedding provider is paced. */
  readonly pacing?: PacingState;
};

/** What a worker did from start to end. */
export type WorkerSummary = {
  readonly completed: number;
  readonly failed: number;
  readonly retried: number;
  readonly released: number;
  readonly lost: number;
  readonly seconds: number;
};

export type RunningWorker = {
  state(): WorkerState;
  /** Resolves when the worker has ended: after stop(), or with `once` when nothing is left to do. Rejects with
   * a Failure only when the worker cannot go on at all. */
  readonly ended: Promise<WorkerSummary>;
  /** Looks at the queue now: a hint that something was put there. */
  wake(): void;
  /** Stops claiming, finishes or releases what is at work within the grace time. Safe to call twice. */
  stop(reason: string): Promise<void>;
};

export type WorkerOptions = {
  /** End when no job is ready and none is at work (jobs that wait for their time do not hold it). */
  readonly once?: boolean;
  /** Ends a start that is still under way, with the signal's reason; a worker that runs is ended by stop(). */
  readonly signal?: AbortSignal;
};
