// The small world a contract test makes for itself: documents, claims, chunks, and a way to move time by
// back-dating rows. Every tenant and worker has a name of its own, so that tests share a database in peace.
import { randomUUID } from "node:crypto";
import type { Database } from "../../database/database.ts";
import type { SqlSession } from "../../database/sql-session.ts";
import type { Job } from "../../document/lease.ts";
import { readClaimed } from "../../queue/claim.ts";

export const MODEL = { embedding_model: "contract-model", dimensions: 3 };

export class World {
  readonly database: Database;
  readonly sql: SqlSession;
  readonly tenant = `tenant-${randomUUID()}`;

  constructor(leg: { readonly database: Database; readonly sql: SqlSession }) {
    this.database = leg.database;
    this.sql = leg.sql;
  }

  readonly call: Database["call"] = (name, args, options) => this.database.call(name, args, options);

  /** Empties the queue first, so that a claim finds only what the test put there. */
  async start(): Promise<this> {
    await this.sql.query("delete from public.rag_ingestion_queue");
    await this.sql.query("delete from public.rag_workers");
    await this.sql.query("delete from public.rag_documents");
    return this;
  }

  async document(fields: Record<string, unknown> = {}): Promise<string> {
    const answer = (await this.call("rag_upsert_document", {
      p_request: { tenant_id: this.tenant, external_id: randomUUID(), content: "one two three", ...fields },
    })) as { document_id: string };
    return answer.document_id;
  }

  async enqueue(fields: Record<string, unknown> = {}): Promise<{ jobId: string; documentId: string }> {
    const answer = (await this.call("rag_enqueue", {
      p_request: {
        tenant_id: this.tenant,
        ...("document_id" in fields ? {} : { external_id: randomUUID(), content: "one two three" }),
        ...fields,
      },
    })) as { job_id: string; document_id: string };
    return { jobId: answer.job_id, documentId: answer.document_id };
  }

  async claim(slots = 1, worker = "worker-a", leaseSeconds = 60): Promise<readonly Job[]> {
    const answer = await this.call("rag_claim_jobs", {
      p_worker: worker,
      p_slots: slots,
      p_kinds: ["document"],
      p_lease_seconds: leaseSeconds,
    });
    const { jobs, unreadable } = readClaimed(answer);
    if (unreadable.length > 0) throw new Error("a claim could not be read");
    return jobs;
  }

  async claimOne(worker = "worker-a"): Promise<Job> {
    const [job] = await this.claim(1, worker);
    if (job === undefined) throw new Error("nothing was ready");
    return job;
  }

  async job(id: string): Promise<Record<string, unknown>> {
    const [row] = await this.sql.query("select * from public.rag_ingestion_queue where id = $1", [id]);
    return row ?? {};
  }

  async statusOf(id: string): Promise<unknown> {
    return (await this.job(id)).status;
  }

  async documentRow(id: string): Promise<Record<string, unknown>> {
    const [row] = await this.sql.query("select * from public.rag_documents where id = $1", [id]);
    return row ?? {};
  }

  /** As if the job's lease and its worker's row had run out a minute ago. */
  async expireLease(job: Job): Promise<void> {
    await this.sql.query(
      "update public.rag_ingestion_queue set lease_expires_at = now() - interval '1 minute' where id = $1",
      [job.id],
    );
    await this.sql.query(
      `update public.rag_workers set alive_until = now() - interval '1 minute'
       where worker_id = (select worker_id from public.rag_ingestion_queue where id = $1)`,
      [job.id],
    );
  }

  /** Makes every waiting job due. */
  async makeDue(): Promise<void> {
    await this.sql.query(
      "update public.rag_ingestion_queue set run_at = now() - interval '1 second' where status = 'queued'",
    );
  }

  async begin(job: Job, content = "content-1", plan = "plan-1"): Promise<Record<string, unknown>> {
    return (await this.call("rag_begin_generation", {
      ...fence(job),
      p_plan: {
        ...MODEL,
        content_sha256: content,
        byte_size: 13,
        media_type: "text/plain",
        strategy: "recursive",
        chunk_size: 256,
        chunk_overlap: 0,
        plan,
      },
    })) as Record<string, unknown>;
  }

  async stage(job: Job, chunks: readonly Record<string, unknown>[]): Promise<Record<string, unknown>> {
    return (await this.call("rag_stage_chunks", {
      ...fence(job),
      p_chunks: chunks,
      p_progress: { processed_segments: 1, tokens: 3, cost_usd: 0.001 },
    })) as Record<string, unknown>;
  }

  async complete(job: Job, chunks: number, segments = 1): Promise<unknown> {
    const answer = (await this.call("rag_complete_job", {
      ...fence(job),
      p_chunks: chunks,
      p_segments: segments,
    })) as { state: string };
    return answer.state;
  }

  /** The whole way of a small document; answers its job. */
  async ingest(texts: readonly string[], documentId?: string): Promise<Job> {
    await this.enqueue(documentId === undefined ? {} : { document_id: documentId });
    const job = await this.claimOne();
    await this.begin(job, `content of ${texts.join("|")}`);
    await this.call("rag_stage_segments", {
      ...fence(job),
      p_segments: [{ seq: 1, content: texts.join("") }],
      p_complete: true,
      p_media_type: "text/plain",
    });
    await this.stage(
      job,
      texts.map((text, index) => chunk(index, text)),
    );
    await this.complete(job, texts.length);
    return job;
  }

  async liveTexts(documentId: string): Promise<readonly unknown[]> {
    const rows = await this.sql.query(
      "select content from public.rag_live_chunks where document_id = $1 order by chunk_index",
      [documentId],
    );
    return rows.map((row) => row.content);
  }

  /** Everything a stale worker could have changed about a job, for comparing before and after. */
  async picture(job: Job): Promise<unknown> {
    const documentId = job.document?.id ?? null;
    return {
      job: await this.job(job.id),
      document: await this.sql.query("select * from public.rag_documents where id = $1", [documentId]),
      generations: await this.sql.query(
        "select * from public.rag_generations where document_id = $1 order by generation",
        [documentId],
      ),
      segments: await this.sql.query(
        "select generation, seq, content from public.rag_segments where document_id = $1 order by 1, 2",
        [documentId],
      ),
      chunks: await this.sql.query(
        "select generation, chunk_index, content from public.rag_document_chunks where document_id = $1 order by 1, 2",
        [documentId],
      ),
    };
  }
}

export const fence = (job: Job) => ({ p_job_id: job.lease.jobId, p_lease_token: job.lease.token });

/** A chunk row with a vector made from its text, or without one. */
export function chunk(index: number, text: string, embedding: string | null = vectorOf(text)) {
  return {
    chunk_index: index,
    content: text,
    content_sha256: `sha-${text}`,
    embed_sha256: `sha-${text}`,
    char_start: 0,
    char_end: text.length,
    token_count: 1,
    page_number: null,
    section: null,
    segment_from: 1,
    segment_to: 1,
    embed_prefix: "",
    embedding,
  };
}

/** Equal texts have equal vectors, different ones different directions. */
export function vectorOf(text: string): string {
  let seed = 7;
  for (const character of text) seed = (seed * 31 + (character.codePointAt(0) ?? 0)) % 9973;
  return `[${Math.cos(seed)},${Math.sin(seed)},${(seed % 10) / 10 + 0.1}]`;
}
