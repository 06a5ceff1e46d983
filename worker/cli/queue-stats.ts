// What rag_queue_stats answers, decoded once for every command that asks.
import { z } from "zod";
import type { SqlCall } from "../document/sql-call.ts";

const stats = z.object({
  queued: z.number(),
  delayed: z.number(),
  processing: z.number(),
  oldest_queued_seconds: z.number().nullable(),
  last_day: z.object({
    complete: z.number(),
    failed: z.number(),
    cancelled: z.number(),
    chunks: z.number(),
    reused_chunks: z.number(),
    tokens: z.number(),
    cost_usd: z.number(),
  }),
  last_hour_complete: z.number(),
  workers: z.array(z.object({ worker_id: z.string(), jobs: z.number(), started_at: z.coerce.date() })),
  model: z.object({ model: z.string(), dimensions: z.number() }).nullable(),
});
export type QueueStats = z.infer<typeof stats>;

export async function queueStats(call: SqlCall): Promise<QueueStats> {
  return stats.parse(await call("rag_queue_stats", {}));
}
