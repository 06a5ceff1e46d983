// Segments to chunks, streamed: the first chunk leaves before the last page is read.
// Both limits hold for embedPrefix + content. Only a single code point that is larger than the whole budget
// exceeds them, for text is never dropped and a code point cannot be cut.
import type { Chunk } from "../document/chunk.ts";
import type { Segment } from "../document/segment.ts";
import type { Tokenizer } from "../document/tokenizer.ts";

export type ChunkLimits = {
  /** Most tokens of embedPrefix + content. */
  readonly tokens: number;
  /** Most tokens that a chunk repeats from the end of the one before; 0 is none. */
  readonly overlapTokens: number;
  /** Most UTF-16 units of embedPrefix + content; 0 leaves only UNITS_PER_TOKEN times the tokens. */
  readonly chars: number;
  /** Puts the section's path and a line break before the content for embedding. Default false. */
  readonly headingPrefix?: boolean;
  /** Room that was left for a line about the chunk's place, beside the limits above. */
  readonly context?: { readonly tokens: number; readonly chars: number };
};

/** No text has so few tokens. Bounds a chunk (and our memory) where a tokenizer counts nothing or [UNK]. */
export const UNITS_PER_TOKEN = 32;

/** Texts to vectors, for a strategy that compares what they mean. */
export type EmbedSnippets = (texts: readonly string[]) => Promise<readonly Float32Array[]>;

/**
 * How the chunks of the document's former text begin (SEAM_UNITS of each, behind what it repeats of the one before),
 * and the numbers of those that begin so, rising. Where the new text can be cut at one of them it is, so that behind an
 * edit all chunks are the former ones again.
 */
export type Seams = ReadonlyMap<string, readonly number[]>;

/** Long enough to be told apart, short enough that 10,000 of them are 400 KB. */
export const SEAM_UNITS = 40;

export type CutChunks = (
  segments: AsyncIterable<Segment>,
  embed: EmbedSnippets,
  seams?: Seams,
) => AsyncIterable<Chunk>;

/** Stored with each generation: another name or number means that old chunks cannot be reused by position. */
export type ChunkStrategy = { readonly name: string; readonly version: number };

export type CutWith = (limits: ChunkLimits, tokenizer: Tokenizer) => CutChunks;
