// The budget of a chunk that gets a line about its place in the document: cut first, and the line written afterwards.
import type { ChunkLimits } from "./chunker.ts";

/** A line of at most 25 words, in most languages. */
const LINE_TOKENS = 64;
const LINE_CHARS = 320;
/** A line that would take more of the budget than this is cut. */
const LARGEST_SHARE = 0.25;

/** The same limits, less the room for a line. */
export function leaveRoomForContext(limits: ChunkLimits): ChunkLimits {
  const tokens = Math.min(LINE_TOKENS, Math.floor(limits.tokens * LARGEST_SHARE));
  const chars = limits.chars === 0 ? 0 : Math.min(LINE_CHARS, Math.floor(limits.chars * LARGEST_SHARE));
  return {
    ...limits,
    tokens: limits.tokens - tokens,
    chars: limits.chars - chars,
    context: { tokens, chars: chars === 0 ? LINE_CHARS : chars },
  };
}
