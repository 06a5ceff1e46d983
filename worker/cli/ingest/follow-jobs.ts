// Follows jobs to their end by asking the database: whoever works on them, here or on another machine, the
// rows are the truth. Asks only about jobs that have not ended.
import type { SqlCall } from "../../document/sql-call.ts";
import { Failure } from "../../failure/failure.ts";
import { sleep } from "../../timing/durations.ts";
import { hasEnded, type JobRow, listJobs } from "../job-row.ts";

/** Job ids in one question: the request stays small, and the answer far below 1,000 rows. */
const MOST_IDS = 200;

/** How long the database may be away: the jobs go on when it is back, and so do we. */
const PATIENCE_MS = 60_000;
const AWAY_MS = 1000;

const passes = (thrown: unknown) => thrown instanceof Failure && thrown.kind === "transient";

export type Following = {
  /** Jobs enqueued so far; it may grow while they are followed. */
  readonly ids: () => readonly string[];
  /** No further job will come. */
  readonly isAll: () => boolean;
  /** After each look: the rows of jobs that had not ended before, and ids whose row is gone. Ends come once. */
  readonly see: (rows: readonly JobRow[], gone: readonly string[]) => void | Promise<void>;
  readonly everyMs: number;
};

/**
 * Returns when all have ended, or when the signal fires. Throws `database.*` when the database has been away
 * for a minute, and what `see` throws.
 */
export async function followJobs(call: SqlCall, following: Following, signal: AbortSignal): Promise<void> {
  const ended = new Set<string>();
  let answeredAt = performance.now();
  while (!signal.aborted) {
    const isAll = following.isAll();
    const open = following.ids().filter((id) => !ended.has(id));
    const rows = await readRows(call, open).catch((thrown: unknown) => {
      if (!passes(thrown) || performance.now() - answeredAt > PATIENCE_MS) throw thrown;
      return null;
    });
    if (rows === null) {
      await sleep(AWAY_MS, signal);
      continue;
    }
    answeredAt = performance.now();
    const met = new Set(rows.map((row) => row.id));
    const gone = open.filter((id) => !met.has(id));
    for (const row of rows) if (hasEnded(row)) ended.add(row.id);
    for (const id of gone) ended.add(id);
    await following.see(rows, gone);
    if (isAll && ended.size === following.ids().length) return;
    await sleep(following.everyMs, signal);
  }
}

async function readRows(call: SqlCall, ids: readonly string[]): Promise<JobRow[]> {
  const rows: JobRow[] = [];
  for (let from = 0; from < ids.length; from += MOST_IDS) {
    const page = ids.slice(from, from + MOST_IDS);
    rows.push(...(await listJobs(call, { job_ids: page }, page.length)));
  }
  return rows;
}
