// What this replica did in each of its minutes, told to the database for everybody's plots: one small row a minute,
// and nothing while nothing happens.
import type { Activity } from "../../activity/activity.ts";
import type { SqlCall } from "../../document/sql-call.ts";
import { within } from "../../timing/durations.ts";

/** Upper limits of the classes of a job's duration; the last class has none. The page is told them too. */
export const DURATION_LIMITS_MS = [
  100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 120_000, 300_000, 600_000,
] as const;

const TELL_MS = 10_000;
// What a database that is away for an hour does not get is lost.
const MOST_MINUTES = 60;
const LAST_WORD_MS = 500;

type Minute = {
  complete: number;
  failed: number;
  retried: number;
  chunks: number;
  readonly durations: number[];
  /** What of it has not been told. */
  changed: boolean;
};

export type ThroughputOptions = {
  readonly activity: Activity;
  readonly call: SqlCall;
  /** Empty until the worker has a name. */
  readonly workerId: () => string;
  readonly tellMs?: number;
};

/** Tells until it is stopped; stop() sends what is left, and waits no longer than half a second. */
export function tellThroughput(options: ThroughputOptions): { stop(): Promise<void> } {
  const { activity, call, workerId, tellMs = TELL_MS } = options;
  const began = performance.now();
  const minutes = new Map<number, Minute>();
  const count = (change: (minute: Minute) => void) => {
    const number = Math.floor((performance.now() - began) / 60_000);
    const minute = minutes.get(number) ?? nothingYet();
    change(minute);
    minute.changed = true;
    minutes.set(number, minute);
    const [oldest] = minutes.keys();
    if (minutes.size > MOST_MINUTES && oldest !== undefined) minutes.delete(oldest);
  };
  const stopListening = activity.listen((name, facts) => {
    if (name === "job.completed" && "durationMs" in facts && "chunks" in facts)
      count((minute) => {
        minute.complete += 1;
        minute.chunks += facts.chunks;
        const place = classOf(facts.durationMs);
        minute.durations[place] = (minute.durations[place] ?? 0) + 1;
      });
    if (name === "job.failed")
      count((minute) => {
        minute.failed += 1;
      });
    if (name === "job.retried")
      count((minute) => {
        minute.retried += 1;
      });
  });
  let telling: Promise<void> | null = null;
  const tellAll = async () => {
    if (workerId() === "") return;
    const now = Math.floor((performance.now() - began) / 60_000);
    for (const [number, minute] of minutes) {
      if (minute.changed) {
        const { changed: _, ...told } = minute;
        minute.changed = false;
        try {
          await call("rag_tell_throughput", { p_worker: workerId(), p_told: { minute: number, ...told } });
        } catch {
          // Told again, with whatever has come on top: a plot is no reason to trouble anybody.
          minute.changed = true;
          return;
        }
      }
      if (number < now && !minute.changed) minutes.delete(number);
    }
  };
  const tell = () => {
    telling ??= tellAll().finally(() => {
      telling = null;
    });
    return telling;
  };
  const timer = setInterval(() => void tell(), tellMs);
  timer.unref();
  return {
    async stop() {
      clearInterval(timer);
      stopListening();
      await within(LAST_WORD_MS, (telling ?? Promise.resolve()).then(tell));
    },
  };
}

const nothingYet = (): Minute => ({
  complete: 0,
  failed: 0,
  retried: 0,
  chunks: 0,
  durations: Array.from({ length: DURATION_LIMITS_MS.length + 1 }, () => 0),
  changed: false,
});

function classOf(durationMs: number): number {
  const place = DURATION_LIMITS_MS.findIndex((limit) => durationMs <= limit);
  return place === -1 ? DURATION_LIMITS_MS.length : place;
}
