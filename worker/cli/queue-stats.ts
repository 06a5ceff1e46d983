// What rag_queue_stats answers, for commands that ask.
import type { SqlCall } from "../document/sql-call.ts";
import { type QueueFigures, queueFigures } from "../status/queue-figures.ts";

export async function queueStats(call: SqlCall): Promise<QueueFigures> {
  return queueFigures.parse(await call("rag_queue_stats", {}));
}
