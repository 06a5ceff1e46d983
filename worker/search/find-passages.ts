// Asks one of the three searches. The query is embedded by the configured embedder, and the database is asked
// for chunks of that very model: vectors of two models cannot be compared.
import { z } from "zod";
import type { SqlCall } from "../document/sql-call.ts";
import { vectorText } from "../document/vector-text.ts";
import type { Embedder } from "../embedders/embedder.ts";

export const searchModes = ["vector", "text", "hybrid"] as const;
export type SearchMode = (typeof searchModes)[number];

/** The share of the vector side when nobody says: best on the retrieval set (npm run bench -- search). */
export const DEFAULT_WEIGHT = 0.3;

export type SearchFilter = {
  readonly tenant_id?: string | undefined;
  readonly collection?: string | undefined;
  readonly document_ids?: readonly string[] | undefined;
  readonly tags?: readonly string[] | undefined;
  readonly metadata?: Readonly<Record<string, unknown>> | undefined;
};

export type Question = {
  readonly query: string;
  readonly mode: SearchMode;
  readonly limit: number;
  /** Share of the vector side in hybrid, 0 to 1. */
  readonly weight: number;
  readonly filter: SearchFilter;
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
  /** Which words of the query it has, as they are stored; of the text side. */
  matched: z.array(z.string()).optional(),
  // Where it stood on either side; of hybrid. Null where that side did not find it.
  vector_rank: z.number().nullish(),
  vector_score: z.number().nullish(),
  text_rank: z.number().nullish(),
  text_score: z.number().nullish(),
});
export type Passage = z.infer<typeof passage>;

export type Found = {
  /** Best first. */
  readonly passages: readonly Passage[];
  /** What it took to embed the query (0 for text), and to search, in milliseconds. */
  readonly embedMs: number;
  readonly searchMs: number;
};

export type Searchable = {
  readonly database: { readonly call: SqlCall };
  /** Opened only when a vector is asked for. */
  embedder(): Promise<Pick<Embedder, "embed" | "model">>;
};

/** Throws `embed.*` and `database.*`. */
export async function findPassages(
  parts: Searchable,
  question: Question,
  signal: AbortSignal,
): Promise<Found> {
  const { call } = parts.database;
  const asked = {
    p_limit: question.limit,
    // JSON leaves out what is not given.
    p_filter: question.filter,
  };
  const words = { p_query: question.query };
  const startedAt = performance.now();
  const meaning = question.mode === "text" ? {} : await meaningOf(parts, question.query, signal);
  const embeddedAt = performance.now();
  const rows = await {
    text: () => call("rag_text_search", { ...words, ...asked }, { signal }),
    vector: () => call("rag_search_chunks", { ...meaning, ...asked }, { signal }),
    hybrid: () =>
      call("rag_hybrid_search", { ...words, ...meaning, ...asked, p_weight: question.weight }, { signal }),
  }[question.mode]();
  return {
    passages: z.array(passage).parse(rows),
    embedMs: embeddedAt - startedAt,
    searchMs: performance.now() - embeddedAt,
  };
}

async function meaningOf(parts: Searchable, query: string, signal: AbortSignal) {
  const embedder = await parts.embedder();
  const { vectors } = await embedder.embed([query], signal);
  return { p_query_embedding: vectorText(vectors[0] ?? new Float32Array()), p_model: embedder.model };
}
