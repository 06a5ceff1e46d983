// The default strategy: the best boundary in the fuller part of the budget. Small paragraphs are merged, a
// heading stays with its text, and what is left at the end of a passage is never a sliver.
// Plain recursive cutting at 200 to 400 tokens without overlap is hard to beat (Chroma's chunking study).
import { type Boundary, CLAUSE, GRAPHEME, LINE, PARAGRAPH, SENTENCE, WORD } from "./boundary.ts";
import type { ChunkStrategy, CutWith } from "./chunker.ts";
import { cutChunks, LOOK_AHEAD, type Reach } from "./cut-chunks.ts";
import type { Passage } from "./passage.ts";

export const recursive: ChunkStrategy = { name: "recursive", version: 2 };

export const cutRecursively: CutWith = (limits, tokenizer) =>
  cutChunks(chooseBestBoundary, limits, tokenizer);

/** Nothing emptier is looked at, as long as something fuller fits. */
const EMPTIEST = 0.5;
/** A small chunk beside an edit costs less than cutting all that follows anew. */
const EMPTIEST_AT_SEAM = 0.1;
/** How full a chunk has to be, at least, to end at a boundary of each kind. */
const LEAST_FILL: Readonly<Record<Boundary, number>> = {
  [PARAGRAPH]: EMPTIEST,
  [LINE]: 0.6,
  [SENTENCE]: 0.6,
  [CLAUSE]: 0.8,
  [WORD]: EMPTIEST,
  [GRAPHEME]: EMPTIEST,
};

export function chooseBestBoundary(reach: Reach): number {
  const { passage, ceiling, complete } = reach;
  const { words, fresh } = passage;
  const end = words.length - 1;
  const total = passage.share(end);
  if (complete && ceiling === end && total <= 1) return end;
  const most = complete ? leaving(total) : 1;
  const last = lastWithin(reach, most);
  if (last <= fresh) return passage.share(fresh) <= 1 ? last : -1;

  const best = bestBoundary(passage, last, most);
  const { seamAt } = reach;
  const met = seamAt?.(best) ?? null;
  if (seamAt === null || met === 1) return best;
  return nearestSeam(passage, seamAt, last, most) ?? beforeNextSeam(reach, seamAt, last) ?? best;
}

/** How full a chunk may be so that the one behind it, to `share`, has as much as the look-ahead shows of a longer one. */
const leaving = (share: number): number => Math.min(1, Math.max(share - (LOOK_AHEAD - 1), EMPTIEST));

/** The last word that a chunk may end with that is no fuller than `most`. */
function lastWithin({ passage, ceiling }: Reach, most: number): number {
  let last = ceiling;
  while (last > passage.fresh && passage.share(last) > most) last--;
  return last;
}

/** The words that the chunk repeats are none of its own. */
const taken = (passage: Passage): number => (passage.fresh === 0 ? 0 : passage.share(passage.fresh - 1));

function bestBoundary(passage: Passage, last: number, most: number): number {
  const { words, fresh } = passage;
  const before = taken(passage);
  let best = last;
  let found: Boundary = GRAPHEME;
  for (let index = last; index >= fresh; index--) {
    const fill = (passage.share(index) - before) / (most - before);
    const boundary = words[index]?.boundary ?? GRAPHEME;
    if (fill < EMPTIEST) break;
    if (boundary <= found || fill < LEAST_FILL[boundary]) continue;
    best = index;
    found = boundary;
    if (found === PARAGRAPH) break;
  }
  return best;
}

type SeamAt = NonNullable<Reach["seamAt"]>;

/**
 * Behind an edit the budget alone would fall in step with the former cuts by chance: in 60 edits of prose it cut 3
 * chunks anew on average and 14 at most; with the former beginnings to aim at it is those that hold the edit. The next
 * one first, for where a text repeats itself a later one may stand in its place; of equals the one that fills the chunk
 * most.
 */
function nearestSeam(passage: Passage, seamAt: SeamAt, last: number, most: number): number | null {
  const before = taken(passage);
  let nearest: { readonly index: number; readonly steps: number } | null = null;
  for (let index = last; index >= passage.fresh; index--) {
    if ((passage.share(index) - before) / (most - before) < EMPTIEST_AT_SEAM) break;
    const steps = seamAt(index);
    if (steps !== null && (nearest === null || steps < nearest.steps)) nearest = { index, steps };
  }
  return nearest?.index ?? null;
}

/**
 * The edit has made the chunk too long for the seam at its former end: what is cut off now leaves the rest, up to that
 * seam, a chunk of its own. Cut as full as can be, the rest would be too little for one, and all that follows cut anew.
 */
function beforeNextSeam(reach: Reach, seamAt: SeamAt, last: number): number | null {
  const { passage } = reach;
  for (let index = last + 1; index < passage.words.length; index++) {
    if (!Number.isFinite(seamAt(index) ?? Infinity)) continue;
    const most = leaving(passage.share(index));
    const end = lastWithin(reach, most);
    return end > passage.fresh ? bestBoundary(passage, end, most) : null;
  }
  return null;
}
