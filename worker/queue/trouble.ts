// What keeps a worker from working: a database that is away, or a mistake in its settings. Told once when it begins
// and once when it is over; meanwhile the worker asks less often.
import type { Activity } from "../activity/activity.ts";
import { adviseOperator } from "../failure/describe.ts";
import { Failure } from "../failure/failure.ts";
import { backoffMs } from "../timing/backoff.ts";
import type { WorkerCondition, WorkerState } from "./worker-state.ts";

export type Trouble = {
  happened(failure: Failure): void;
  /** The database answered; `foreign`: the stored vectors are of another model than ours, until they are not. */
  answered(foreign: boolean): void;
  /** A job ended by its own merits: the settings are right. */
  jobRan(): void;
  isAny(): boolean;
  /** Three times in a row: nobody waits for an operator who has asked for one run only. */
  isLasting(): boolean;
  /** The last one. */
  failure(): Failure;
  pauseMs(): number;
  /** How many of so many slots may be used: while misconfigured one now and then, to find out whether it is over. */
  slots(all: number): number;
  /** After an outage every lease looks run out at once: first let the living renew theirs. */
  mayReap(): boolean;
  stopping(): void;
  stopped(): void;
  state(): Pick<WorkerState, "condition" | "code" | "advice">;
};

// How long a worker that is misconfigured waits before one job shows whether it still is.
const MISCONFIGURED = { firstMs: 10_000, mostMs: 300_000 };
const DATABASE_LOST = { firstMs: 1000, mostMs: 10_000 };
const LASTING = 3;

export function openTrouble(activity: Activity, leaseMs: number): Trouble {
  let condition: WorkerCondition = "working";
  let last: Failure | null = null;
  let count = 0;
  let since = 0;
  let triesAgainAt = 0;
  let answeredAt = performance.now();
  let reapsFrom = 0;
  const isAny = () => condition === "misconfigured" || condition === "database-lost";

  const recover = () => {
    const said = condition === "misconfigured" ? "worker.recovered" : "database.regained";
    activity.say(said, { afterMs: Math.round(performance.now() - since) });
    condition = "working";
    last = null;
    count = 0;
  };
  const happened = (failure: Failure) => {
    const isFresh = !isAny();
    count += 1;
    last = failure;
    if (condition === "stopping" || condition === "stopped") return;
    condition = failure.kind === "misconfigured" ? "misconfigured" : "database-lost";
    if (condition === "misconfigured")
      triesAgainAt = performance.now() + Math.max(2000, backoffMs(count, MISCONFIGURED));
    if (!isFresh) return;
    since = performance.now();
    const said = { code: failure.code, advice: adviseOperator(failure) };
    activity.say(condition === "misconfigured" ? "worker.misconfigured" : "database.lost", said);
  };
  return {
    happened,
    answered(foreign) {
      if (performance.now() - answeredAt > leaseMs && condition === "database-lost")
        reapsFrom = performance.now() + leaseMs;
      answeredAt = performance.now();
      if (condition === "database-lost") recover();
      if (condition === "stopping") last = null;
      if (foreign) happened(new Failure("embed.model-mismatch"));
      else if (condition === "misconfigured" && last?.code === "embed.model-mismatch") recover();
    },
    jobRan() {
      if (condition === "misconfigured") recover();
    },
    isAny: () => isAny() || (condition === "stopping" && last !== null),
    isLasting: () => isAny() && count >= LASTING,
    failure: () => last ?? new Failure("unexpected"),
    pauseMs() {
      if (condition === "misconfigured") return Math.max(2000, triesAgainAt - performance.now());
      return Math.max(250, backoffMs(count, DATABASE_LOST));
    },
    slots: (all) => (condition !== "misconfigured" ? all : performance.now() >= triesAgainAt ? 1 : 0),
    mayReap: () => performance.now() >= reapsFrom,
    stopping() {
      condition = "stopping";
      last = null;
      count = 0;
    },
    stopped() {
      condition = "stopped";
    },
    state: () => ({ condition, code: last?.code ?? null, advice: last && adviseOperator(last) }),
  };
}
