// Who takes part in a bench of queues: ours, or a peer under the settings its documentation names.
// Each has a fresh database of its own and works in processes of its own, so that none profits from another's
// warm caches, statistics or dead rows.
import type { WakeBusName } from "./part.ts";

export type ContestantName = "ours" | "graphile-worker" | "pg-boss" | "bare";

/** Jobs to be put into the queue before the clock starts. */
export type Fill = {
  readonly jobs: number;
  /** Jobs are spread over these in turn; peers without tenants put all into one line. */
  readonly tenants?: readonly string[];
  /** Seconds until the jobs are due; 0 is now. */
  readonly delaySeconds?: number;
  /** As a queue holds them that has finished them; a contestant that deletes what it finished holds none. */
  readonly finished?: boolean;
};

/** Jobs that will be enqueued one by one while the worker runs. */
export type Upcoming = {
  /** One job each, in this order. */
  readonly tenants: readonly string[];
  readonly bus: WakeBusName;
};

export type Enqueuer = {
  /** Resolves when the next job is committed and whoever waits for it was told. */
  next(): Promise<void>;
  close(): Promise<void>;
};

export type Contestant = {
  readonly name: ContestantName;
  /** The program of its worker process; see part.ts for what it is told and what it tells. */
  readonly program: URL;
  /** Makes its schema in an empty database. */
  install(url: string): Promise<void>;
  /** Answers how many rows it put there: 0 where the contestant keeps no such rows. */
  fill(url: string, fill: Fill): Promise<number>;
  /** Connected and prepared for one job after the other, as an application enqueues them. */
  openEnqueuer(url: string, upcoming: Upcoming): Promise<Enqueuer>;
};
