// A row of rag_list_jobs, decoded once, and a job found by the first digits of its id, as logs show it.
import { z } from "zod";
import type { SqlCall } from "../document/sql-call.ts";
import { usage } from "./usage.ts";

export const jobStatuses = ["queued", "processing", "complete", "failed", "cancelled"] as const;
export type JobStatus = (typeof jobStatuses)[number];

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
  total_segments: z.number().nullable(),
  processed_segments: z.number(),
  error_code: z.string().nullable(),
  error_detail: z.string().nullable(),
  submitted_at: z.coerce.date(),
});
export type JobRow = z.infer<typeof jobRow>;

export type JobFilter = {
  readonly job_ids?: readonly string[];
  readonly status?: readonly JobStatus[];
  readonly tenant_id?: string;
  readonly collection?: string;
  readonly kind?: string;
  readonly error_code?: string;
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
const START_OF_ID = /^[0-9a-f-]{4,36}$/;

/**
 * Whole ids as they are; the first four digits and more are looked up among the newest 1,000 jobs.
 * Throws `usage.invalid` for what is no id, fits no job or fits several.
 */
export async function resolveJobIds(call: SqlCall, typed: readonly string[]): Promise<readonly string[]> {
  let recent: readonly JobRow[] | null = null;
  const ids: string[] = [];
  for (const text of typed) {
    const start = text.toLowerCase().replace(/…$/, "");
    if (WHOLE_ID.test(start)) {
      ids.push(start);
      continue;
    }
    if (!START_OF_ID.test(start)) throw usage(`"${text}" is no job id. rag jobs lists them.`);
    recent ??= await listJobs(call, {}, MOST_ROWS);
    const fitting = recent.filter((row) => row.id.startsWith(start));
    const [first] = fitting;
    if (first === undefined) throw usage(`No job's id starts with "${text}". rag jobs lists them.`);
    if (fitting.length > 1) throw usage(`${fitting.length} jobs' ids start with "${text}": give more of it.`);
    ids.push(first.id);
  }
  return [...new Set(ids)];
}
