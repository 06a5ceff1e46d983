// The default strategy: the best boundary in the fuller part of the budget. Small paragraphs are merged, a
// heading stays with its text, and what is left at the end of a passage is never a sliver.
// Plain recursive cutting at 200 to 400 tokens without overlap is hard to beat (Chroma's chunking study).
import { type Boundary, CLAUSE, GRAPHEME, LINE, PARAGRAPH, SENTENCE, WORD } from "./boundary.ts";
import type { ChunkStrategy, CutWith } from "./chunker.ts";
import { cutChunks, LOOK_AHEAD, type Reach } from "./cut-chunks.ts";

export const recursive: ChunkStrategy = { name: "recursive", version: 2 };

export const cutRecursively: CutWith = (limits, tokenizer) =>
  cutChunks(chooseBestBoundary, limits, tokenizer);

/** Nothing emptier is looked at, as long as something fuller fits. */
const EMPTIEST = 0.5;
/** How full a chunk has to be, at least, to end at a boundary of each kind. */
const LEAST_FILL: Readonly<Record<Boundary, number>> = {
  [PARAGRAPH]: EMPTIEST,
  [LINE]: 0.6,
  [SENTENCE]: 0.6,
  [CLAUSE]: 0.8,
  [WORD]: EMPTIEST,
  [GRAPHEME]: EMPTIEST,
};

export function chooseBestBoundary({ passage, ceiling, complete }: Reach): number {
  const { pieces, fresh } = passage;
  const end = pieces.length - 1;
  const total = passage.share(end);
  if (complete && ceiling === end && total <= 1) return end;
  // Leave the last chunk of a passage as much as the look-ahead would have shown of a longer one.
  const most = complete ? Math.min(1, Math.max(total - (LOOK_AHEAD - 1), EMPTIEST)) : 1;
  let last = ceiling;
  while (last > fresh && passage.share(last) > most) last--;
  if (last <= fresh) return passage.share(fresh) <= 1 ? last : -1;

  const taken = fresh === 0 ? 0 : passage.share(fresh - 1);
  let best = last;
  let found: Boundary = GRAPHEME;
  for (let index = last; index >= fresh; index--) {
    const fill = (passage.share(index) - taken) / (most - taken);
    const boundary = pieces[index]?.boundary ?? GRAPHEME;
    if (fill < EMPTIEST) break;
    if (boundary <= found || fill < LEAST_FILL[boundary]) continue;
    best = index;
    found = boundary;
    if (found === PARAGRAPH) break;
  }
  return best;
}
