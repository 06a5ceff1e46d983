// What rag_dashboard_figures answers, decoded once.
import { z } from "zod";
import { count, oldestSnapshot, paused } from "../queue-figures.ts";

const job = z.object({
  id: z.string(),
  kind: z.string(),
  document_id: z.string().nullable(),
  title: z.string().nullable(),
  source_uri: z.string().nullable(),
  tenant_id: z.string(),
  worker_id: z.string().nullable(),
  stage: z.string().nullable(),
  attempts: count,
  processed_segments: count,
  total_segments: count.nullable(),
  processed_chunks: count,
  total_chunks: count.nullable(),
  reused_chunks: count,
  /** At work for so long. */
  seconds: z.number().nullable(),
});
const failure = job.pick({ id: true, kind: true, title: true, source_uri: true, tenant_id: true }).extend({
  error_code: z.string().nullable(),
  /** Since it ended. */
  seconds: z.number().nullable(),
});
const outcome = { complete: count, failed: count, retried: count, chunks: count };

export const dashboardFigures = z.object({
  waiting: z.object({ ready: count, delayed: count, behind: count, held: count }),
  /** A part of `waiting` has as many as are counted, or more. */
  capped: z.boolean(),
  processing: count,
  oldest_queued_seconds: z.number().nullable(),
  paused,
  workers: z.array(
    z.object({
      worker_id: z.string(),
      jobs: count,
      kinds: z.array(z.string()).nullable(),
      seconds: z.number(),
    }),
  ),
  working: z.array(job),
  failures: z.array(failure),
  /** By age in minutes; minutes in which nothing ended are left out. */
  hour: z.array(z.object({ age: count, ...outcome, durations: z.array(count).nullable() })),
  day: z.object(outcome),
  today: z.object({ tokens: count, cost_usd: count }),
  model: z.object({ model: z.string(), dimensions: z.number() }).nullable(),
  dead_rows: count,
  oldest_snapshot: oldestSnapshot.nullable(),
  oldest_snapshot_seconds: z.number().nullable(),
});
export type DashboardFigures = z.infer<typeof dashboardFigures>;
