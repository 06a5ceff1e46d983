// Asks one of the three searches. The query is embedded by the configured embedder, and the database is asked
// for chunks of that very model: vectors of two models cannot be compared.
import { z } from "zod";
import type { SqlCall } from "../../document/sql-call.ts";
import type { Embedder } from "../../embedders/embedder.ts";
import { vectorText } from "../../pipeline/stage-chunks.ts";

export type SearchMode = "vector" | "text" | "hybrid";

export type Question = {
  readonly query: string;
  readonly mode: SearchMode;
  readonly limit: number;
  /** Share of the vector side in hybrid, 0 to 1. */
  readonly weight: number;
  readonly tenant?: string;
  readonly collection?: string;
  readonly tags?: readonly string[];
};

const passage = z.object({
  score: z.number(),
  document_id: z.string(),
  title: z.string().nullable(),
  source_uri: z.string().nullable(),
  chunk_index: z.number(),
  page_number: z.number().nullable(),
  section: z.string().nullable(),
  speaker: z.string().nullable(),
  started_ms: z.coerce.number().nullable(),
  ended_ms: z.coerce.number().nullable(),
  content: z.string(),
});
export type Passage = z.infer<typeof passage>;

export type Searchable = {
  readonly database: { readonly call: SqlCall };
  /** Opened only when a vector is asked for. */
  embedder(): Promise<Pick<Embedder, "embed" | "model">>;
};

/** Best first. Throws `embed.*` and `database.*`. */
export async function findPassages(
  parts: Searchable,
  question: Question,
  signal: AbortSignal,
): Promise<readonly Passage[]> {
  const asked = {
    p_limit: question.limit,
    p_filter: {
      ...(question.tenant !== undefined && { tenant_id: question.tenant }),
      ...(question.collection !== undefined && { collection: question.collection }),
      ...(question.tags !== undefined && { tags: question.tags }),
    },
  };
  return z.array(passage).parse(await ask(parts, question, asked, signal));
}

async function ask(
  parts: Searchable,
  question: Question,
  asked: Readonly<Record<string, unknown>>,
  signal: AbortSignal,
): Promise<unknown> {
  const { call } = parts.database;
  const words = { p_query: question.query, ...asked };
  if (question.mode === "text") return await call("rag_text_search", words, { signal });
  const embedder = await parts.embedder();
  const { vectors } = await embedder.embed([question.query], signal);
  const meaning = {
    p_query_embedding: vectorText(vectors[0] ?? new Float32Array()),
    p_model: embedder.model,
  };
  if (question.mode === "vector")
    return await call("rag_search_chunks", { ...meaning, ...asked }, { signal });
  return await call("rag_hybrid_search", { ...words, ...meaning, p_weight: question.weight }, { signal });
}
