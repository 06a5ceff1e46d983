// Segments to chunks, streamed: the first chunk leaves before the last page is read.
import type { Chunk } from "../document/chunk.ts";
import type { Segment } from "../document/segment.ts";
import type { Tokenizer } from "../document/tokenizer.ts";

export type ChunkLimits = {
  /** Most tokens of embedPrefix + content. */
  readonly tokens: number;
  readonly overlapTokens: number;
  /** Most UTF-16 units of embedPrefix + content; 0 is no limit. */
  readonly chars: number;
};

export type CutChunks = (segments: AsyncIterable<Segment>) => AsyncIterable<Chunk>;

/** Stored with each generation: another name or number means that old chunks cannot be reused by position. */
export type ChunkStrategy = { readonly name: string; readonly version: number };

export type OpenChunker = (limits: ChunkLimits, tokenizer: Tokenizer) => CutChunks;
