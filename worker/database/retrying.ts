// Sends an idempotent call again when the trouble may be over in a moment, and gives up soon: the queue
// above has its own, longer patience.
import { Failure } from "../failure/failure.ts";
import { type BackoffLimits, backoffMs } from "../timing/backoff.ts";
import { sleep } from "../timing/durations.ts";
import { passesByItself } from "./sqlstate.ts";

const MOST_ATTEMPTS = 4;
const WAITS: BackoffLimits = { firstMs: 200, mostMs: 2000 };

/**
 * Runs `attempt` up to four times while it fails with `database.unreachable` or `database.conflict`.
 * Throws the last Failure, or the signal's reason.
 */
export async function retrying<Result>(
  attempt: () => Promise<Result>,
  signal: AbortSignal | undefined,
): Promise<Result> {
  for (let tried = 1; ; tried += 1) {
    signal?.throwIfAborted();
    try {
      return await attempt();
    } catch (thrown) {
      signal?.throwIfAborted();
      const again = thrown instanceof Failure && passesByItself(thrown) && !finals.has(thrown);
      if (!again || tried >= MOST_ATTEMPTS) throw thrown;
      await sleep(backoffMs(tried, WAITS), signal);
    }
  }
}

const finals = new WeakSet<Failure>();

/** Marks a Failure that has used up its time already and must not be tried again here. */
export function final(failure: Failure): Failure {
  finals.add(failure);
  return failure;
}
