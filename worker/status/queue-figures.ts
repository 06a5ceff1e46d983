// The queue in figures, for /health and /metrics: asked at most once in two seconds however many look, and never
// waited for longer than a second, so that a database that hangs does not hang the page that says so.
import { z } from "zod";
import { failureFromUnknown } from "../failure/from-unknown.ts";

const count = z.number().nonnegative();
const stats = z.object({
  queued: count,
  delayed: count,
  processing: count,
  oldest_queued_seconds: z.number().nullable(),
  last_day: z.object({
    complete: count,
    failed: count,
    cancelled: count,
    chunks: count,
    reused_chunks: count,
    tokens: count,
    cost_usd: count,
  }),
  last_hour_complete: count,
  workers: z.array(z.unknown()),
});

export type QueueFigures = z.infer<typeof stats>;

export type FiguresAnswer = {
  /** The last that were read, also when the last look failed; null when none ever was. */
  readonly figures: QueueFigures | null;
  readonly ageMs: number | null;
  /** Why they are not fresh: a failure code, `timeout`; null when they are. */
  readonly trouble: string | null;
};

export type ReadFigures = () => Promise<FiguresAnswer>;

const FRESH_MS = 2_000;
const LONGEST_WAIT_MS = 1_000;

export function openQueueFigures(ask: () => Promise<unknown>): ReadFigures {
  let last: { readonly figures: QueueFigures; readonly at: number } | null = null;
  let trouble: { readonly code: string; readonly at: number } | null = null;
  // One question at a time, also while it hangs: others would only take the pool's connections.
  let asking: Promise<void> | null = null;

  const look = async () => {
    try {
      const figures = stats.parse(await ask());
      last = { figures, at: performance.now() };
      trouble = null;
    } catch (thrown) {
      trouble = { code: failureFromUnknown(thrown).code, at: performance.now() };
    } finally {
      asking = null;
    }
  };
  const isRecent = (seen: { readonly at: number } | null) =>
    seen !== null && performance.now() - seen.at < FRESH_MS;

  return async () => {
    let late = false;
    if (!isRecent(last) && !isRecent(trouble)) {
      asking ??= look();
      late = (await Promise.race([asking, waitAtMost()])) === "late";
    }
    return {
      figures: last?.figures ?? null,
      ageMs: last === null ? null : Math.round(performance.now() - last.at),
      trouble: late ? "timeout" : (trouble?.code ?? null),
    };
  };
}

async function waitAtMost(): Promise<"late"> {
  const { promise, resolve } = Promise.withResolvers<"late">();
  // Not unref'd: whoever asked waits for it.
  setTimeout(() => resolve("late"), LONGEST_WAIT_MS);
  return await promise;
}
