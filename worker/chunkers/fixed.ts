// Fixed windows: every chunk as full as the budget allows, cut between words wherever that comes.
// Sections and speakers still end a chunk, so that its citation stays true.
import type { ChunkStrategy, CutWith } from "./chunker.ts";
import { cutChunks, type Reach } from "./cut-chunks.ts";

export const fixed: ChunkStrategy = { name: "fixed", version: 2 };

export const cutFixed: CutWith = (limits, tokenizer) => cutChunks(chooseFullest, limits, tokenizer);

function chooseFullest({ passage, ceiling }: Reach): number {
  let last = ceiling;
  while (last >= passage.fresh && passage.share(last) > 1) last--;
  return last;
}
