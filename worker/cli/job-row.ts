// A row of rag_list_jobs, decoded once, and a job found by the first digits of its id, as logs show it.
import { z } from "zod";
import type { SqlCall } from "../document/sql-call.ts";
import { usage } from "./usage.ts";

export const jobStatuses = ["queued", "processing", "complete", "failed", "cancelled"] as const;
export type JobStatus = (typeof jobStatuses)[number];

/** What a queued job may wait for, as the view rag_waiting_jobs names it. */
export const waitReasons = ["slot", "time", "backoff", "document", "pause", "cap", "worker", "kind"] as const;
export type WaitReason = (typeof waitReasons)[number];

const jobRow = z.looseObject({
  id: z.string(),
  kind: z.string(),
  document_id: z.string().nullable(),
  title: z.string().nullable(),
  source_uri: z.string().nullable(),
  tenant_id: z.string(),
  status: z.enum(jobStatuses),
  stage: z.string().nullable(),
  attempts: z.number(),
  max_attempts: z.number(),
  total_chunks: z.number().nullable(),
  processed_chunks: z.number(),
  reused_chunks: z.number(),
  rejected_chunks: z.number(),
  total_segments: z.number().nullable(),
  processed_segments: z.number(),
  error_code: z.string().nullable(),
  error_detail: z.string().nullable(),
  submitted_at: z.coerce.date(),
  /** In words; null when the job does not wait. */
  waits_for: z.string().nullable(),
});
export type JobRow = z.infer<typeof jobRow>;

export type JobFilter = {
  readonly job_ids?: readonly string[];
  readonly job_id_prefix?: string;
  readonly document_ids?: readonly string[];
  readonly status?: readonly JobStatus[];
  readonly tenant_id?: string;
  readonly collection?: string;
  readonly kind?: string;
  readonly error_code?: string;
  readonly worker_id?: string;
  readonly waits_for?: readonly WaitReason[];
  /** Since the job was last touched. */
  readonly older_than_seconds?: number;
};

/** The most rows one answer holds, over every transport. */
export const MOST_ROWS = 1000;

/** Newest first. */
export async function listJobs(call: SqlCall, filter: JobFilter, limit: number): Promise<readonly JobRow[]> {
  return z.array(jobRow).parse(await call("rag_list_jobs", { p_filter: filter, p_limit: limit }));
}

export const hasEnded = (row: Pick<JobRow, "status">) =>
  row.status === "complete" || row.status === "failed" || row.status === "cancelled";

const WHOLE_ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const START_OF_ID = /^[0-9a-f][0-9a-f-]{3,35}$/;
const SHORT_START = /^[0-9a-f]{1,3}$/;

export type ResolvedIds = {
  readonly ids: readonly string[];
  /** Theirs, in the same order. */
  readonly rows: readonly JobRow[];
  readonly unknown: readonly string[];
};

/**
 * Whole ids, and jobs whose id starts with four digits and more; `unknown` are those that no job has.
 * Throws `usage.invalid` for what is no id, or fits several jobs.
 */
export async function resolveJobIds(call: SqlCall, typed: readonly string[]): Promise<ResolvedIds> {
  const known = new Map<string, JobRow>();
  const unknown = new Set<string>();
  const asTyped = typed.map((text) => text.trim().toLowerCase().replace(/…$/, ""));
  for (const start of asTyped) if (!WHOLE_ID.test(start)) checkStart(start);
  const whole = asTyped.filter((text) => WHOLE_ID.test(text));
  for (let from = 0; from < whole.length; from += MOST_ROWS) {
    const page = whole.slice(from, from + MOST_ROWS);
    const rows = await listJobs(call, { job_ids: page }, MOST_ROWS);
    const met = new Map(rows.map((row) => [row.id, row]));
    for (const id of page) {
      const row = met.get(id);
      if (row === undefined) unknown.add(id);
      else known.set(id, row);
    }
  }
  for (const start of asTyped.filter((text) => !WHOLE_ID.test(text))) {
    // One more than is told, to see whether there are more.
    const fitting = await listJobs(call, { job_id_prefix: start }, MOST_TOLD + 1);
    const [first] = fitting;
    if (first === undefined) unknown.add(start);
    else if (fitting.length > 1)
      throw usage(`${many(fitting.length)} jobs' ids start with "${start}": give more of it.`);
    else known.set(first.id, first);
  }
  return { ids: [...known.keys()], rows: [...known.values()], unknown: [...unknown] };
}

const MOST_TOLD = 10;
const many = (found: number) => (found > MOST_TOLD ? `More than ${MOST_TOLD}` : String(found));

function checkStart(start: string): void {
  if (START_OF_ID.test(start)) return;
  if (SHORT_START.test(start))
    throw usage(`"${start}" is too short: give at least the first four digits of the job's id.`);
  throw usage(`"${start}" is no job id. rag jobs lists them.`);
}
