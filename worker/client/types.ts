// What goes in and comes out, in the words of the SQL functions. Rows are derived from schema.ts, which is generated;
// what a function takes and answers as JSON, the schema does not tell, and stands here.
import type { RagDatabase } from "./schema.ts";

type Functions = RagDatabase["public"]["Functions"];
type RowOf<Name extends keyof Functions> = Functions[Name]["Returns"] extends readonly (infer Row)[]
  ? Row
  : never;
type QueueRow = RagDatabase["public"]["Tables"]["rag_ingestion_queue"]["Row"];

/** Of a row these columns, which are never empty. */
type Sure<Row, Name extends keyof Row> = { readonly [Key in Name]: NonNullable<Row[Key]> };
/** And these, which may be. */
type Open<Row, Name extends keyof Row> = { readonly [Key in Name]: Row[Key] };
/** And these, which not every search gives. */
type Maybe<Row, Name extends keyof Row> = { readonly [Key in Name]?: Row[Key] };

export type SearchFilter = {
  readonly tenant_id?: string;
  readonly collection?: string;
  readonly document_ids?: readonly string[];
  /** Documents that have all of these. */
  readonly tags?: readonly string[];
  /** Documents whose metadata contains this. */
  readonly metadata?: Readonly<Record<string, unknown>>;
};

export type SearchOptions = {
  /** 1 to 1000; 10 unless said. */
  readonly limit?: number;
  /** `hybrid` where there is an embedder, else `text`. */
  readonly mode?: "vector" | "text" | "hybrid";
  /** Share of the vector side in hybrid, 0 to 1. */
  readonly weight?: number;
  readonly filter?: SearchFilter;
  /** So many chunks before and after each hit, up to 4. */
  readonly neighbours?: number;
  /** Where the words of the query stand, as `places` of each hit. */
  readonly highlights?: boolean;
  /** Ends the embedding of the query. */
  readonly signal?: AbortSignal;
};

type HitRow = RowOf<"rag_hybrid_search">;

export type Hit = Sure<HitRow, "score" | "document_id" | "chunk_index" | "content"> &
  Open<HitRow, "title" | "source_uri" | "page_number" | "section"> &
  Maybe<HitRow, "speaker" | "started_ms" | "ended_ms"> &
  Maybe<HitRow, "vector_rank" | "vector_score" | "text_rank" | "text_score"> & {
    /** Which words of the query it has, as they are stored. */
    readonly matched?: readonly string[];
    readonly before?: readonly Neighbour[];
    readonly after?: readonly Neighbour[];
    readonly places?: readonly Place[];
  };

/** Start and end (exclusive) in `content`, as JavaScript counts. */
export type Place = readonly [start: number, end: number];

type NeighbourRow = RowOf<"rag_neighbours">;

export type Neighbour = Sure<NeighbourRow, "document_id" | "chunk_index" | "is_hit" | "content"> &
  Open<NeighbourRow, "page_number" | "section">;

export type Highlighted = Sure<RowOf<"rag_highlights">, "document_id" | "chunk_index"> & {
  readonly places: readonly Place[];
};

/** A document by `document_id`, by `source_uri`, or by its `content`. Other fields as rag_enqueue takes them. */
export type Submission = {
  readonly document_id?: string;
  readonly source_uri?: string;
  readonly content?: string;
  readonly title?: string;
  readonly tenant_id?: string;
  readonly user_id?: string;
  readonly collection?: string;
  readonly external_id?: string;
  readonly tags?: readonly string[];
  readonly metadata?: Readonly<Record<string, unknown>>;
  readonly priority?: number;
  /** ISO 8601: not before. */
  readonly run_at?: string;
  readonly dedupe_key?: string;
  /** W3C Trace Context of the caller: the trace of the job goes on from there. */
  readonly traceparent?: string;
};

export type Submitted = {
  readonly job_id: string;
  readonly document_id: string;
  readonly state: "queued" | "duplicate";
};

export type Progress = Open<
  QueueRow,
  "id" | "document_id" | "status" | "stage" | "error_code" | "error_detail"
> &
  Open<QueueRow, "processed_segments" | "total_segments" | "processed_chunks" | "total_chunks"> & {
    /** Whose it is; null where its document is gone. */
    readonly document: { readonly tenant_id: string; readonly user_id: string | null } | null;
    /** Why it is not at work, in words. */
    readonly waits_for: string | null;
  };

/** What an application calls something of its own: `task`, `page`, `memory`, or any other word of small letters. */
export type Entity = {
  readonly entity_type: string;
  readonly entity_id: string;
  /** Its text; without one its title is. */
  readonly content?: string;
  readonly title?: string;
  readonly tenant_id?: string;
  readonly user_id?: string;
  readonly tags?: readonly string[];
  readonly metadata?: Readonly<Record<string, unknown>>;
  readonly media_type?: string;
  readonly priority?: number;
  /** ISO 8601: when it changed. What is older than the news that is stored changes nothing. */
  readonly changed_at?: string;
  readonly dedupe_key?: string;
};

export type UpsertedEntity = {
  readonly document_id: string;
  /** The job that brings its text into the index; null when it is there. */
  readonly job_id: string | null;
  readonly state: "new" | "changed" | "unchanged";
};

export type RelationshipType =
  | "semantic_similarity"
  | "cross_reference"
  | "topical_relevance"
  | "sequential_dependency"
  | "conceptual_hierarchy";

export type RelatedOptions = {
  /** All unless said. */
  readonly types?: readonly RelationshipType[];
  /** 1 to 1000; 50 unless said. */
  readonly limit?: number;
  /** Also what it mentions and nobody answers to yet. */
  readonly unresolved?: boolean;
};

type RelatedRow = RowOf<"rag_related">;

export type Relationship = Sure<RelatedRow, "strength"> &
  Open<RelatedRow, "document_id" | "title" | "collection" | "external_id" | "source_uri" | "reference"> & {
    readonly relationship_type: RelationshipType;
    /** `both` of the first and third type; else whether the document refers, follows or lies below (`out`), or the other one. */
    readonly direction: "both" | "out" | "in";
    /** The evidence. */
    readonly metadata: Readonly<Record<string, unknown>>;
  };

/** Somebody or something that a text names. */
export type NamedEntity = { readonly name: string; readonly type: string };

/** What a language model says of a document as a whole. */
export type Analysis = {
  readonly document_id: string;
  readonly title: string | null;
  readonly summary: string | null;
  /** BCP 47. */
  readonly language: string | null;
  readonly topics: readonly string[];
  readonly entities: readonly NamedEntity[];
  readonly groups: number;
  /** Groups without an analysis; each says why. */
  readonly failed_groups: number;
  readonly plan: string;
  readonly error_code: string | null;
  readonly analysed_at: string;
  readonly tokens: number;
  readonly cost_usd: number;
};

/** And of one group of its segments. */
export type SegmentAnalysis = {
  readonly segment_from: number;
  readonly segment_to: number;
  readonly page_number: number | null;
  readonly started_ms: number | null;
  readonly ended_ms: number | null;
  readonly summary: string | null;
  readonly topics: readonly string[];
  readonly entities: readonly NamedEntity[];
  readonly key_points: readonly string[];
  readonly questions: readonly string[];
  /** null where nobody speaks. */
  readonly conversation: {
    readonly decisions: readonly string[];
    readonly action_items: readonly {
      readonly task: string;
      readonly owner: string | null;
      readonly due: string | null;
    }[];
    readonly sentiment: readonly {
      readonly speaker: string;
      readonly sentiment: "positive" | "neutral" | "negative" | "mixed";
      readonly reason: string;
    }[];
  } | null;
  readonly error_code: string | null;
};
