// Documents of the writing benches: opened through the queue as a worker does, completed when their chunks are there.
import type { Database } from "../../../worker/database/database.ts";
import { readClaimed } from "../../../worker/queue/claim.ts";
import { MODEL } from "./rows.ts";

export type OpenDocument = { readonly documentId: string; readonly jobId: string; readonly token: string };

/** One claimed job whose generation awaits its chunks. Open one at a time. */
export async function openDocument(database: Database, dimensions: number): Promise<OpenDocument> {
  await database.call("rag_enqueue", { p_request: { content: "bench", external_id: crypto.randomUUID() } });
  const claimed = await database.call("rag_claim_jobs", {
    p_worker: "bench",
    p_slots: 1,
    p_kinds: ["document"],
    p_lease_seconds: 900,
  });
  const [job] = readClaimed(claimed).jobs;
  if (!job?.document) throw new Error("the queue gave no job");
  const fence = { p_job_id: job.id, p_lease_token: job.lease.token };
  await database.call("rag_begin_generation", {
    ...fence,
    p_plan: {
      content_sha256: job.document.id,
      byte_size: 5,
      media_type: "text/plain",
      embedding_model: MODEL,
      dimensions,
      strategy: "recursive",
      chunk_size: 256,
      chunk_overlap: 0,
      plan: "bench",
    },
  });
  await database.call("rag_stage_segments", {
    ...fence,
    p_segments: [{ seq: 1, content: "bench" }],
    p_complete: true,
    p_media_type: null,
  });
  return { documentId: job.document.id, jobId: job.id, token: job.lease.token };
}

export async function completeDocument(
  database: Database,
  open: OpenDocument,
  chunks: number,
): Promise<void> {
  await database.call("rag_complete_job", {
    p_job_id: open.jobId,
    p_lease_token: open.token,
    p_chunks: chunks,
    p_segments: 1,
  });
}
