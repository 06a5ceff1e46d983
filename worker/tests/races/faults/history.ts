// The history of a run as the checker reads it: what the triggers of history.sql wrote, row by row.
import { readFile } from "node:fs/promises";
import type postgres from "postgres";
import { z } from "zod";

const status = z.enum(["queued", "processing", "complete", "failed", "cancelled"]);
const standing = z
  .object({
    status,
    token: z.string().nullable(),
    generation: z.number().nullable(),
    /** The transaction that wrote this entry has locked or changed the row. */
    ours: z.boolean(),
  })
  .nullable();

/** `at` and `txAt` are milliseconds of the database's clock: now, and at the start of the transaction. */
const entry = { seq: z.number(), at: z.number(), txAt: z.number() };

const jobEntry = z.object({
  ...entry,
  kind: z.literal("job"),
  job_id: z.string(),
  document_id: z.string().nullable(),
  job_kind: z.string(),
  /** The function that acted; null for a statement typed by hand. */
  by: z.string().nullable(),
  acting_worker: z.string().nullable(),
  /** The token that the function was called with for this job; null when it was called for none. */
  acting_token: z.string().nullable(),
  transition: z.string().nullable(),
  from: status.nullable(),
  to: status,
  from_token: z.string().nullable(),
  to_token: z.string().nullable(),
  from_worker: z.string().nullable(),
  to_worker: z.string().nullable(),
  from_attempts: z.number(),
  to_attempts: z.number(),
  max_attempts: z.number(),
  error_code: z.string().nullable(),
  /** For what the reaper did: whether the worker's session lock was held, before and after. */
  watched: z.boolean().nullable(),
  /** Last sign of life of the worker that held the job, as far as whoever acts could see it; as `txAt`. */
  alive_at: z.number().nullable(),
});
const callEntry = z.object({
  ...entry,
  kind: z.literal("call"),
  by: z.string(),
  job_id: z.string(),
  lease_token: z.string(),
  transition: z.string().nullish(),
  standing,
  answer: z.string().nullable(),
});
const chunksEntry = z.object({
  ...entry,
  kind: z.literal("chunks"),
  by: z.string().nullable(),
  document_id: z.string(),
  generation: z.number(),
  chunks: z.number(),
  first: z.number(),
  last: z.number(),
  job_id: z.string().nullable(),
  acting_token: z.string().nullable(),
  standing,
  live: z.boolean().nullable(),
});
const commitEntry = z.object({
  ...entry,
  kind: z.literal("commit"),
  of: z.number(),
  job_id: z.string().nullable(),
  acting_token: z.string().nullable(),
  standing,
});
const liveEntry = z.object({
  ...entry,
  kind: z.literal("live"),
  by: z.string().nullable(),
  document_id: z.string(),
  from: z.number().nullable(),
  to: z.number().nullable(),
  digest: z.string().nullable(),
});
const goneEntry = z.object({
  ...entry,
  kind: z.literal("gone"),
  by: z.string().nullable(),
  document_id: z.string(),
  generation: z.number(),
  chunks: z.number(),
});
const aliveEntry = z.object({
  ...entry,
  kind: z.literal("alive"),
  worker_id: z.string(),
  session: z.boolean(),
});

const historyEntry = z.discriminatedUnion("kind", [
  jobEntry,
  callEntry,
  chunksEntry,
  commitEntry,
  liveEntry,
  goneEntry,
  aliveEntry,
]);

export type JobEntry = z.infer<typeof jobEntry>;
export type CallEntry = z.infer<typeof callEntry>;
export type ChunksEntry = z.infer<typeof chunksEntry>;
export type CommitEntry = z.infer<typeof commitEntry>;
export type LiveEntry = z.infer<typeof liveEntry>;
export type HistoryEntry = z.infer<typeof historyEntry>;
/** In order of `seq`. */
export type History = readonly HistoryEntry[];

/** On a migrated database that belongs to the run alone. */
export async function installHistory(sql: postgres.Sql): Promise<void> {
  await sql.unsafe(await readFile(new URL("./history.sql", import.meta.url), "utf8")).simple();
}

const ROWS_A_READ = 5000;

export async function readHistory(sql: postgres.Sql): Promise<History> {
  const history: HistoryEntry[] = [];
  for (let after = 0; ; ) {
    const rows = await sql<{ entry: unknown }[]>`
      select facts || jsonb_build_object('seq', seq, 'kind', kind,
        'at', extract(epoch from at) * 1000, 'txAt', extract(epoch from tx_at) * 1000) as entry
      from fault.history where seq > ${after} order by seq limit ${ROWS_A_READ}`;
    history.push(...rows.map((row) => historyEntry.parse(row.entry)));
    if (rows.length < ROWS_A_READ) return history;
    after = history.at(-1)?.seq ?? after;
  }
}
