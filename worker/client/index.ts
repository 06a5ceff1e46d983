// What `import … from "rag-ingestion-worker/client"` gives.
export { createRagClient, type RagClient, type RagClientOptions, type RpcClient } from "./client.ts";
export type { Embed, Embedded, EmbedSource } from "./embed.ts";
export { markHtml } from "./mark-html.ts";
export { RagError } from "./rag-error.ts";
export type { RagDatabase } from "./schema.ts";
export type {
  Analysis,
  Entity,
  Hit,
  NamedEntity,
  Neighbour,
  Place,
  Progress,
  RelatedOptions,
  Relationship,
  RelationshipType,
  SearchFilter,
  SearchOptions,
  SegmentAnalysis,
  Submission,
  Submitted,
  UpsertedEntity,
} from "./types.ts";
