// The typed client for applications: search, submit, follow. Compiled to JavaScript for the package
// (rag-ingestion-worker/client), so it stands alone: it imports nothing but its own folder and runs wherever there
// is fetch. It speaks through an application's own supabase-js client, with the service key on a server, or with a
// user's session where supabase/recipes/signed_in_search.sql is installed.
import { type EmbedSource, openEmbed } from "./embed.ts";
import { RagError } from "./rag-error.ts";
import type { Json, RagDatabase } from "./schema.ts";
import type {
  Analysis,
  Entity,
  Highlighted,
  Hit,
  Neighbour,
  Progress,
  RelatedOptions,
  Relationship,
  SearchOptions,
  SegmentAnalysis,
  Submission,
  Submitted,
  UpsertedEntity,
} from "./types.ts";

type Functions = RagDatabase["public"]["Functions"];
/** By the generated schema: a name or an argument that the database does not know does not compile. */
type Given<Name extends string> = Name extends keyof Functions
  ? { readonly [Key in keyof Functions[Name]["Args"]]: Sent<Functions[Name]["Args"][Key]> }
  : Readonly<Record<string, unknown>>;
/** JSON may be read only, and what is undefined is left out of it. */
type Sent<Argument> = Json extends Argument
  ? unknown
  : Argument extends (infer One)[]
    ? readonly One[]
    : Argument;
/** Rows that are answered; rag_search_mine is the recipe's own, and no part of the migrations. */
type Rows = {
  rag_highlights: Highlighted;
  rag_hybrid_search: Hit;
  rag_neighbours: Neighbour;
  rag_read_segment_analyses: SegmentAnalysis;
  rag_related: Relationship;
  rag_search_chunks: Hit;
  rag_search_mine: Hit;
  rag_text_search: Hit;
};

// biome-ignore lint/suspicious/noExplicitAny: every generated schema has its own names and argument types here.
type OfAnySchema = any;

/** What is needed of a supabase-js client. */
export type RpcClient = {
  rpc(
    name: OfAnySchema,
    args?: OfAnySchema,
  ): PromiseLike<{ data: unknown; error: { message: string; code?: string } | null }>;
};

export type RagClientOptions = {
  /** Who turns a query into a vector: a worker's POST /embed, OpenAI, or a function. Without one, words alone. */
  readonly embed?: EmbedSource;
  /** Search as the signed-in user, by rag_search_mine. */
  readonly mine?: boolean;
};

export type RagClient = {
  /** Best first. Throws `RagError`. */
  search(query: string, options?: SearchOptions): Promise<readonly Hit[]>;
  /** A document or transcript into the queue. Server only. */
  submit(submission: Submission): Promise<Submitted>;
  /** A task, page or memory of the application, under its own id; indexed only when its text is new. Server only. */
  upsertEntity(entity: Entity): Promise<UpsertedEntity>;
  /** How a document relates to others of its tenant, the strongest first. Server only. */
  related(documentId: string, options?: RelatedOptions): Promise<readonly Relationship[]>;
  /** One look at a job; null when there is none. */
  job(jobId: string): Promise<Progress | null>;
  /** What was said of a document's live content; null where it is not analysed. */
  analysis(documentId: string): Promise<Analysis | null>;
  /** What was said of each group of its segments, in order. */
  segmentAnalyses(documentId: string): AsyncGenerator<SegmentAnalysis>;
  /** Every change of a job until it has ended, the last one included. Polls; ends early with the signal. */
  follow(
    jobId: string,
    options?: { readonly everyMs?: number; readonly signal?: AbortSignal },
  ): AsyncGenerator<Progress>;
};

const DEFAULT_LIMIT = 10;
// As in rag_hybrid_search.
const DEFAULT_WEIGHT = 0.3;
const DEFAULT_RELATED = 50;
const ANALYSES_A_PAGE = 100;
const POLL_MS = 1000;
const MOST_POLL_MS = 10_000;

export function createRagClient(supabase: RpcClient, options: RagClientOptions = {}): RagClient {
  const embed = options.embed === undefined ? null : openEmbed(options.embed);
  const call = async <Name extends keyof Functions | keyof Rows>(
    name: Name,
    args: Given<Name>,
  ): Promise<unknown> => {
    const { data, error } = await supabase.rpc(name, args);
    if (error !== null) throw new RagError(error.code || "database.failed", error.message);
    return data;
  };
  const rowsOf = async <Name extends keyof Rows>(
    name: Name,
    args: Given<Name>,
  ): Promise<readonly Rows[Name][]> => {
    const rows = await call(name, args);
    if (!Array.isArray(rows)) throw new RagError("database.failed", `${name} answered no rows.`);
    return rows;
  };

  const ask = async (query: string, asked: SearchOptions): Promise<readonly Hit[]> => {
    const mode = asked.mode ?? (embed === null ? "text" : "hybrid");
    const words = { p_query: query };
    const common = { p_limit: asked.limit ?? DEFAULT_LIMIT, p_filter: asked.filter ?? {} };
    const weighed = { p_weight: asked.weight ?? DEFAULT_WEIGHT };
    if (mode !== "text" && embed === null)
      throw new RagError("client.no-embed", "Say in the option `embed` who turns a query into a vector.");
    const meaning = mode === "text" || embed === null ? null : meaningOf(await embed([query], asked.signal));
    if (options.mine)
      return await rowsOf("rag_search_mine", {
        ...(mode !== "vector" && words),
        ...meaning,
        ...weighed,
        ...common,
      });
    if (meaning === null) return await rowsOf("rag_text_search", { ...words, ...common });
    if (mode === "vector") return await rowsOf("rag_search_chunks", { ...meaning, ...common });
    return await rowsOf("rag_hybrid_search", { ...words, ...meaning, ...weighed, ...common });
  };

  const job = async (jobId: string) =>
    (await call("rag_describe_job", { p_job_id: jobId })) as Progress | null;

  return {
    async search(query, asked = {}) {
      const hits = await ask(query, asked);
      if (hits.length === 0 || (asked.neighbours === undefined && !asked.highlights)) return hits;
      const p_hits = hits.map(({ document_id, chunk_index }) => ({ document_id, chunk_index }));
      const [around, marked] = await Promise.all([
        asked.neighbours === undefined
          ? []
          : rowsOf("rag_neighbours", {
              p_hits,
              p_before: asked.neighbours,
              p_after: asked.neighbours,
            }),
        asked.highlights ? rowsOf("rag_highlights", { p_query: query, p_hits }) : [],
      ]);
      return hits.map((hit) => ({
        ...hit,
        ...neighboursOf(hit, around, asked.neighbours),
        ...placesIn(hit, marked),
      }));
    },
    async submit(submission) {
      return (await call("rag_enqueue", { p_request: submission })) as Submitted;
    },
    async upsertEntity(entity) {
      return (await call("rag_upsert_entity", { p_request: entity })) as UpsertedEntity;
    },
    related(documentId, { types, limit = DEFAULT_RELATED, unresolved = false } = {}) {
      return rowsOf("rag_related", {
        p_document_id: documentId,
        p_types: types ?? null,
        p_limit: limit,
        p_unresolved: unresolved,
      });
    },
    job,
    async analysis(documentId) {
      return (await call("rag_read_analysis", { p_document_id: documentId })) as Analysis | null;
    },
    async *segmentAnalyses(documentId) {
      for (let after: number | null = null; ; ) {
        const given: Given<"rag_read_segment_analyses"> = {
          p_document_id: documentId,
          p_after: after,
          p_limit: ANALYSES_A_PAGE,
        };
        const page: readonly SegmentAnalysis[] = await rowsOf("rag_read_segment_analyses", given);
        yield* page;
        const last = page.at(-1);
        if (last === undefined || page.length < ANALYSES_A_PAGE) return;
        after = last.segment_from;
      }
    },
    async *follow(jobId, { everyMs = POLL_MS, signal } = {}) {
      let told = "";
      let pause = everyMs;
      while (!signal?.aborted) {
        const progress = await job(jobId);
        if (progress === null) throw new RagError("job.not-found", "There is no such job.");
        const now = JSON.stringify([
          progress.status,
          progress.stage,
          progress.processed_segments,
          progress.processed_chunks,
        ]);
        if (now !== told) yield progress;
        if (["complete", "failed", "cancelled"].includes(progress.status)) return;
        // A job that stands still is asked less and less often.
        pause = now === told ? Math.min(pause * 1.5, Math.max(everyMs, MOST_POLL_MS)) : everyMs;
        told = now;
        await sleep(pause, signal);
      }
    },
  };
}

function meaningOf({
  model,
  embeddings,
}: {
  readonly model: string;
  readonly embeddings: readonly (readonly number[])[];
}) {
  return { p_query_embedding: `[${(embeddings[0] ?? []).join(",")}]`, p_model: model };
}

function neighboursOf(hit: Hit, rows: readonly Neighbour[], each: number | undefined) {
  if (each === undefined) return {};
  const near = rows.filter(
    (row) => row.document_id === hit.document_id && Math.abs(row.chunk_index - hit.chunk_index) <= each,
  );
  return {
    before: near.filter((row) => row.chunk_index < hit.chunk_index),
    after: near.filter((row) => row.chunk_index > hit.chunk_index),
  };
}

function placesIn(hit: Hit, rows: readonly Highlighted[]) {
  const row = rows.find((one) => one.document_id === hit.document_id && one.chunk_index === hit.chunk_index);
  return row === undefined ? {} : { places: row.places };
}

function sleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms);
    function done() {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    }
    signal?.addEventListener("abort", done);
    if (signal?.aborted) done();
  });
}
