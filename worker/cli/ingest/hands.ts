// Who works on what we wait for: a worker that runs already or, on the embedded database, this process.
// Only asks now and then: a worker may come or go while we wait.
import { hostname } from "node:os";
import type { Parts } from "../../assemble.ts";
import type { FailureCode } from "../../failure/catalogue.ts";
import { Failure } from "../../failure/failure.ts";
import type { RunningWorker } from "../../queue/worker-state.ts";
import { isAlive } from "../../timing/is-alive.ts";
import { queueStats } from "../queue-stats.ts";

export type Hands = {
  /**
   * Called with each look at the jobs. Throws what keeps every job from succeeding, and `worker.absent` when
   * jobs wait and no worker came within a minute.
   */
  look(isNeeded: boolean): Promise<void>;
  close(): Promise<void>;
};

export type HandsLimits = {
  /** Between two looks at who is there. */
  readonly lookMs: number;
  /** Nobody waits for a worker that never comes; long enough to start one in the other terminal. */
  readonly absentMs: number;
};

const LIMITS: HandsLimits = { lookMs: 5000, absentMs: 60_000 };

/** `given` is a worker of the caller's, who stops it. */
export function openHands(
  parts: Pick<Parts, "database" | "startWorker">,
  given: RunningWorker | null,
  notice: (text: string) => void,
  limits: HandsLimits = LIMITS,
): Hands {
  let own: RunningWorker | null = null;
  let lookedAt = Number.NEGATIVE_INFINITY;
  let absentSince: number | null = null;
  let told: "theirs" | "absent" | null = null;

  const tell = (what: "theirs" | "absent", text: string) => {
    if (told !== what) notice(text);
    told = what;
  };

  const findSomebody = async () => {
    const { workers } = await queueStats(parts.database.call);
    const first = workers.find(({ worker_id }) => mayLive(worker_id));
    if (first !== undefined) {
      absentSince = null;
      return tell("theirs", `The worker ${first.worker_id} does the work.`);
    }
    if (parts.database.transport === "embedded") {
      own = await parts.startWorker();
      return;
    }
    absentSince ??= performance.now();
    tell("absent", "No worker is running on this database. Start one with: npm run worker:rag");
    if (performance.now() - absentSince > limits.absentMs) throw new Failure("worker.absent");
  };

  return {
    async look(isNeeded) {
      const working = given ?? own;
      if (working !== null) return refuseUseless(working);
      const now = performance.now();
      if (!isNeeded || now - lookedAt < limits.lookMs) return;
      lookedAt = now;
      await findSomebody();
    },
    async close() {
      await own?.stop("done");
    },
  };
}

/**
 * A worker that was killed still counts as alive until its lease ends, a minute in which nothing would happen.
 * Where its name says that it ran on this machine, we look; a name of another form, or from elsewhere, is believed.
 */
function mayLive(workerId: string): boolean {
  const [host, pid] = workerId.split("/");
  if (host !== hostname() || !/^\d+$/.test(pid ?? "")) return true;
  return isAlive(Number(pid));
}

/** Our own worker cannot do any job: waiting for it would last for ever. */
function refuseUseless(own: RunningWorker): void {
  const { condition, code } = own.state();
  if (condition !== "misconfigured" || code === null) return;
  throw new Failure(code as FailureCode); // SAFETY: a worker's code is that of the failure it met.
}
