// How a run ended, as the checker reads it: what was asked for, and the rows that are left.
import type postgres from "postgres";
import { z } from "zod";

/** One upload of a document's content, with the job it was given. Later versions of a document come later. */
export type Upload = {
  readonly jobId: string;
  readonly documentId: string;
  /** 1 for the first upload of a document. */
  readonly version: number;
  /** What an undisturbed run makes of this content; null when no run can (a poisoned text). */
  readonly digest: string | null;
  /** whole: must be ingested. poison: must fail with its own code. fragile: may spend its attempts. */
  readonly fate: "whole" | "poison" | "fragile";
  /** The run itself cancelled the job at least once. */
  readonly cancelled: boolean;
};

const jobRow = z.object({
  id: z.string(),
  document_id: z.string(),
  status: z.enum(["queued", "processing", "complete", "failed", "cancelled"]),
  attempts: z.number(),
  max_attempts: z.number(),
  error_code: z.string().nullable(),
  error_detail: z.string().nullable(),
});
const documentRow = z.object({
  id: z.string(),
  live_generation: z.number().nullable(),
  /** Generations whose state is live. */
  live: z.array(z.number()),
  /** Of the chunks that a reader sees; null when there are none. */
  digest: z.string().nullable(),
});

export type Outcome = {
  readonly uploads: readonly Upload[];
  readonly jobs: readonly z.infer<typeof jobRow>[];
  readonly documents: readonly z.infer<typeof documentRow>[];
};

export async function readOutcome(sql: postgres.Sql, uploads: readonly Upload[]): Promise<Outcome> {
  const jobs = await sql`
    select id, document_id, status, attempts, max_attempts, error_code, error_detail from public.rag_ingestion_queue`;
  const documents = await sql`
    select d.id, d.live_generation, fault.digest(d.id, d.live_generation) as digest,
      array(select g.generation from public.rag_generations g
        where g.document_id = d.id and g.state = 'live') as live
    from public.rag_documents d`;
  return {
    uploads,
    jobs: jobs.map((row) => jobRow.parse(row)),
    documents: documents.map((row) => documentRow.parse(row)),
  };
}
