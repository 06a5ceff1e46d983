// Tells of each step of a job: how long it took, and how it ended. Metrics and traces are made of what is told here.
import type { StepName } from "../activity/catalogue.ts";
import { failureFromUnknown } from "../failure/from-unknown.ts";
import type { StepContext } from "./step-context.ts";

type Counts = Readonly<Record<string, number>>;
type Teller = Pick<StepContext, "activity" | "job">;

/** Runs a step; what it throws is told by its code and thrown on. `count` names what it had to do with. */
export async function tellStep<Result>(
  name: StepName,
  { activity, job }: Teller,
  run: () => Promise<Result>,
  count?: (result: Result) => Counts,
): Promise<Result> {
  const startedAt = performance.now();
  const tell = (code: string, counts?: Counts) => {
    const elapsedMs = performance.now() - startedAt;
    const facts = { jobId: job.id, step: name, elapsedMs, ownMs: elapsedMs, code };
    activity.say("step.ended", counts === undefined ? facts : { ...facts, counts });
  };
  try {
    const result = await run();
    tell("", count?.(result));
    return result;
  } catch (thrown) {
    tell(failureFromUnknown(thrown).code);
    throw thrown;
  }
}

/** A step that gives its items one after the other, while other steps are at work. */
export type TimedItems<Item> = {
  readonly items: AsyncIterable<Item>;
  /** Milliseconds that its reader has waited for items so far. */
  readonly waitedMs: () => number;
};

/**
 * The same items, and a step that ends with the last of them. Only the time counts in which somebody waits for an
 * item, less what the step itself waited for the step `before` it.
 */
export function tellItems<Item>(
  name: StepName,
  { activity, job }: Teller,
  items: AsyncIterable<Item>,
  before: Pick<TimedItems<unknown>, "waitedMs"> | null = null,
): TimedItems<Item> {
  let waitedMs = 0;
  async function* timed(): AsyncIterable<Item> {
    const startedAt = performance.now();
    const waitedBefore = before?.waitedMs() ?? 0;
    const reading = items[Symbol.asyncIterator]();
    let count = 0;
    let code = "";
    let isOver = false;
    try {
      while (true) {
        const askedAt = performance.now();
        const next = await reading.next();
        waitedMs += performance.now() - askedAt;
        isOver = next.done === true;
        if (next.done === true) return;
        count += 1;
        yield next.value;
      }
    } catch (thrown) {
      isOver = true;
      code = failureFromUnknown(thrown).code;
      throw thrown;
    } finally {
      const elapsedMs = performance.now() - startedAt;
      const ownMs = Math.max(0, waitedMs - ((before?.waitedMs() ?? 0) - waitedBefore));
      activity.say("step.ended", {
        jobId: job.id,
        step: name,
        elapsedMs,
        ownMs,
        code,
        counts: { items: count },
      });
      // Whoever reads no further ends what is read here too.
      if (!isOver) await reading.return?.();
    }
  }
  return { items: timed(), waitedMs: () => waitedMs };
}
