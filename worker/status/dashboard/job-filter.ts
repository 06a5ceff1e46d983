// Which jobs are meant, as the dashboard says it: the same filter for a list and for an action, and the same language
// as rag_jobs_meant. Values travel as parameters; nothing of it becomes SQL.
import { z } from "zod";

const name = z.string().min(1).max(300);
const ids = z.array(z.uuid()).min(1).max(1000);
const statuses = ["queued", "processing", "complete", "failed", "cancelled"] as const;
const reasons = ["slot", "time", "backoff", "document", "pause", "cap", "worker", "kind"] as const;

export const jobFilter = z
  .strictObject({
    job_ids: ids,
    job_id_prefix: z.string().regex(/^[0-9a-f][0-9a-f-]{3,35}$/i),
    document_ids: ids,
    status: z.array(z.enum(statuses)).min(1).max(statuses.length),
    kind: z.enum(["document", "reembed", "relationships", "sync"]),
    tenant_id: name,
    collection: name,
    error_code: name,
    worker_id: name,
    waits_for: z.array(z.enum(reasons)).min(1).max(reasons.length),
    older_than_seconds: z.number().min(0).max(3_153_600_000),
    text: name,
  })
  .partial();
