// The queue in figures, for /health and /metrics: asked at most once in two seconds however many look, and never
// waited for longer than a second, so that a database that hangs does not hang the page that says so.
import { z } from "zod";
import { failureFromUnknown } from "../failure/from-unknown.ts";

export const count = z.number().nonnegative();

/** Who keeps vacuum from removing dead rows. `seconds` is null where the server does not tell us since when. */
export const oldestSnapshot = z.object({
  kind: z.enum(["session", "standby", "prepared", "slot"]),
  pid: z.number().nullable(),
  /** application_name, or the name of the prepared transaction or slot. */
  name: z.string().nullable(),
  state: z.string(),
  seconds: z.number().nullable(),
  /** Age in transaction ids: how many have begun since. */
  transactions: z.number(),
});
export type OldestSnapshot = z.infer<typeof oldestSnapshot>;

export const paused = z.array(
  z.object({
    scope: z.enum(["all", "kind", "tenant"]),
    name: z.string(),
    reason: z.string().nullable(),
    paused_at: z.coerce.date(),
  }),
);

/** What rag_queue_stats answers. */
export const queueFigures = z.object({
  queued: count,
  delayed: count,
  processing: count,
  /** The same by kind; a kind without jobs is not there. */
  kinds: z.record(
    z.string(),
    z.object({
      queued: count,
      delayed: count,
      processing: count,
      oldest_queued_seconds: z.number().nullable(),
    }),
  ),
  /** Queued jobs by the reason why they wait, as rag_waiting_jobs names it. */
  waiting: z.record(z.string(), count),
  /** A part of `queued` has as many as are counted, or more. */
  capped: z.boolean(),
  oldest_queued_seconds: z.number().nullable(),
  /** Since the job at work was begun that was begun first. */
  longest_processing_seconds: z.number().nullable(),
  paused,
  tenants_at_cap: z.array(z.object({ tenant_id: z.string(), jobs: count, max_jobs: count })),
  /** Of the jobs submitted in the last `seconds`. */
  last_day: z.object({
    complete: count,
    failed: count,
    cancelled: count,
    chunks: count,
    reused_chunks: count,
    tokens: count,
    cost_usd: count,
    seconds: count,
  }),
  /** What all replicas paid since midnight (UTC). */
  today: z.object({ tokens: count, cost_usd: count }),
  last_hour_complete: count.nullable(),
  workers: z.array(z.object({ worker_id: z.string(), jobs: count, started_at: z.coerce.date() })),
  /** What searches by vector read: the tail and the unindexed rows they scan exactly. */
  vectors: z.object({ tail_chunks: count, unindexed_rows: count, indexed_rows: count, indexes: count }),
  model: z.object({ model: z.string(), dimensions: z.number() }).nullable(),
  dead_rows: count,
  oldest_snapshot: oldestSnapshot.nullable(),
  /** 0 when nobody holds vacuum back; null when this role may not see since when. */
  oldest_snapshot_seconds: z.number().nullable(),
});

export type QueueFigures = z.infer<typeof queueFigures>;

export type FiguresAnswer<Figures = QueueFigures> = {
  /** The last that were read, also when the last look failed; null when none ever was. */
  readonly figures: Figures | null;
  readonly ageMs: number | null;
  /** Why they are not fresh: a failure code, `timeout`; null when they are. */
  readonly trouble: string | null;
};

export type ReadFigures<Figures = QueueFigures> = () => Promise<FiguresAnswer<Figures>>;

const FRESH_MS = 2_000;
const LONGEST_WAIT_MS = 1_000;

export const openQueueFigures = (ask: () => Promise<unknown>): ReadFigures =>
  openFigures(async () => queueFigures.parse(await ask()));

/** `read` is asked again when its last answer is older than `freshMs`. */
export function openFigures<Figures>(
  read: () => Promise<Figures>,
  freshMs: number = FRESH_MS,
): ReadFigures<Figures> {
  let last: { readonly figures: Figures; readonly at: number } | null = null;
  let trouble: { readonly code: string; readonly at: number } | null = null;
  // One question at a time, also while it hangs: others would only take the pool's connections.
  let asking: Promise<void> | null = null;

  const look = async () => {
    try {
      const figures = await read();
      last = { figures, at: performance.now() };
      trouble = null;
    } catch (thrown) {
      trouble = { code: failureFromUnknown(thrown).code, at: performance.now() };
    } finally {
      asking = null;
    }
  };
  const isRecent = (seen: { readonly at: number } | null) =>
    seen !== null && performance.now() - seen.at < freshMs;

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
