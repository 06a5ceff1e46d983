// How many requests are in flight, and when the next may leave. A provider that asks for a pause holds all of them;
// a short one is waited for here, a longer one is the queue's to wait for.
import pLimit from "p-limit";
import { Failure } from "../failure/failure.ts";
import { sleep } from "../timing/durations.ts";

export type Pace = {
  /** Runs the request when there is room. Throws what it throws, or the signal's reason. */
  run<Value>(signal: AbortSignal, request: () => Promise<Value>): Promise<Value>;
};

/** A job is held no longer than this for a provider's sake. */
const LONGEST_HOLD_MS = 10_000;
/** Tries while the provider says that it has no room at all. */
const MOST_TRIES = 4;
const FIRST_PAUSE_MS = 1000;
/** An overloaded provider that does not say when. */
const OVERLOADED_WAIT_MS = 30_000;

const PAUSES: ReadonlySet<string> = new Set(["analyse.rate-limited", "analyse.overloaded"]);

export function openPace(concurrency: number): Pace {
  const limit = pLimit(concurrency);
  let openAt = 0;

  async function held<Value>(signal: AbortSignal, request: () => Promise<Value>): Promise<Value> {
    for (let tries = 1; ; tries += 1) {
      await waitUntilOpen(signal);
      try {
        return await request();
      } catch (thrown) {
        if (!(thrown instanceof Failure) || !PAUSES.has(thrown.code)) throw thrown;
        // With jitter, for others were told the same.
        const guess = FIRST_PAUSE_MS * 2 ** (tries - 1) * (0.75 + Math.random() / 2);
        const pauseMs = thrown.retryAfterMs ?? guess;
        openAt = Math.max(openAt, performance.now() + pauseMs);
        if (tries >= MOST_TRIES || pauseMs > LONGEST_HOLD_MS) throw waiting(thrown, pauseMs);
      }
    }
  }

  async function waitUntilOpen(signal: AbortSignal): Promise<void> {
    for (;;) {
      signal.throwIfAborted();
      const waitMs = openAt - performance.now();
      if (waitMs <= 0) return;
      if (waitMs > LONGEST_HOLD_MS) throw new Failure("analyse.rate-limited", { retryAfterMs: waitMs });
      await sleep(waitMs, signal);
    }
  }

  return { run: (signal, request) => limit(() => held(signal, request)) };
}

const waiting = ({ code, facts }: Failure, pauseMs: number): Failure =>
  new Failure(code, {
    facts,
    retryAfterMs: code === "analyse.overloaded" ? Math.max(pauseMs, OVERLOADED_WAIT_MS) : pauseMs,
  });
