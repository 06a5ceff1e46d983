// What is embedded, stored and cited: a slice of the source that knows where it came from.

export type Chunk = {
  /** From 0, without gaps. */
  readonly chunkIndex: number;
  /** Equals the source between charStart and charEnd. */
  readonly content: string;
  /** Text put before content for embedding only (heading path, repeated table header); counts in the budget. */
  readonly embedPrefix: string;
  /** UTF-16 offsets into the joined segments, end exclusive. */
  readonly charStart: number;
  readonly charEnd: number;
  /** Tokens of embedPrefix + content by the embedder's own tokenizer. */
  readonly tokenCount: number;
  /** Where the chunk starts. */
  readonly pageNumber: number | null;
  readonly section: string | null;
  /** Only when the whole chunk is one speaker's. */
  readonly speaker: string | null;
  readonly startedMs: number | null;
  readonly endedMs: number | null;
  /** First and last segment it touches, by seq. */
  readonly segmentFrom: number;
  readonly segmentTo: number;
};

/** A chunk with its vector, or with the promise that the database has a vector for the same text already. */
export type EmbeddedChunk = Chunk & {
  readonly contentSha256: string;
  /** SHA-256 of embedPrefix + content: the key under which vectors are reused. */
  readonly embedSha256: string;
  /** null: the database copies the vector it already has for embedSha256. */
  readonly embedding: Float32Array | null;
};
