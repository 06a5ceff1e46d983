// Lets calls in until it is closed, and closes when the last one is out.
import { Failure } from "../failure/failure.ts";

export type Gate = {
  /** Runs `work`. Throws `worker.stopping` once closing has begun. */
  enter<Result>(work: () => Promise<Result>): Promise<Result>;
  /** Refuses newcomers, waits for those inside, then runs `last`. Safe to call twice. */
  close(last: () => Promise<void>): Promise<void>;
};

export function openGate(): Gate {
  const inside = new Set<Promise<unknown>>();
  let closed: Promise<void> | null = null;
  return {
    async enter(work) {
      if (closed !== null)
        throw new Failure("worker.stopping", { says: "The database connection is closed." });
      const running = work();
      inside.add(running);
      try {
        return await running;
      } finally {
        inside.delete(running);
      }
    },
    close(last) {
      closed ??= Promise.allSettled(inside).then(last);
      return closed;
    },
  };
}
