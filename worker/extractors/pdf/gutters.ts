// Where a page's white space may part columns: valleys in the amount of text above each other at every x.
import type { Fragment } from "./fragments.ts";

/** A vertical strip that few or no fragments cross, in points. */
export type Gutter = { readonly from: number; readonly to: number };

/** Bins per em: a gutter is found to a quarter of a letter. */
const BINS_PER_EM = 4;
const MAX_BINS = 2_000;
/** A gutter holds at most this share of the text of the lower of its two sides. */
const VALLEY = 0.35;
/** Its edges may hold so much more than its emptiest place: some lines are set out, some are too long. */
const EDGE = 0.12;
/** Ems. Tight newspapers set 0.9; a word gap in justified text rarely lines up over several lines. */
const MIN_GUTTER = 0.65;
const MAX_GUTTERS = 4;

/** The emptiest first, then the widest. */
export function findGutters(fragments: readonly Fragment[]): Gutter[] {
  const em = medianSize(fragments);
  const left = Math.min(...fragments.map((one) => one.x));
  const right = Math.max(...fragments.map((one) => one.right));
  const bins = Math.min(MAX_BINS, Math.ceil(((right - left) / em) * BINS_PER_EM));
  if (bins < 4) return [];
  const width = (right - left) / bins;
  const text = textAbove(fragments, left, width, bins);
  const toLeft = runningMax(text);
  const toRight = runningMax(text.toReversed()).reverse();
  const found: (Gutter & { amount: number })[] = [];
  for (let bin = 0; bin < bins; bin += 1) {
    if (!isValley(bin)) continue;
    const first = bin;
    let amount = text[bin] ?? 0;
    while (bin + 1 < bins && isValley(bin + 1)) {
      bin += 1;
      amount = Math.min(amount, text[bin] ?? 0);
    }
    const lower = Math.min(toLeft[first] ?? 0, toRight[bin] ?? 0);
    for (const strip of emptiest(text, first, bin, amount + EDGE * lower))
      if ((strip.last - strip.first + 1) * width >= MIN_GUTTER * em)
        found.push({ from: left + strip.first * width, to: left + (strip.last + 1) * width, amount });
  }
  return found.sort((a, b) => a.amount - b.amount || b.to - b.from - (a.to - a.from)).slice(0, MAX_GUTTERS);

  function isValley(bin: number): boolean {
    const lower = Math.min(toLeft[bin] ?? 0, toRight[bin] ?? 0);
    return lower > 0 && (text[bin] ?? 0) <= VALLEY * lower;
  }
}

/** Height of text in each bin, in points. */
function textAbove(fragments: readonly Fragment[], left: number, width: number, bins: number): Float64Array {
  const heights = new Float64Array(bins + 1);
  const add = (bin: number, height: number): void => {
    heights[bin] = (heights[bin] ?? 0) + height;
  };
  for (const { x, right, size } of fragments) {
    const first = Math.min(bins - 1, Math.max(0, Math.floor((x - left) / width + 0.01)));
    const last = Math.min(bins, Math.max(first + 1, Math.ceil((right - left) / width - 0.01)));
    add(first, size);
    add(last, -size);
  }
  for (let bin = 1; bin < bins; bin += 1) add(bin, heights[bin - 1] ?? 0);
  return heights.subarray(0, bins);
}

function runningMax(values: Float64Array): Float64Array {
  let max = 0;
  return values.map((value) => {
    max = Math.max(max, value);
    return max;
  });
}

/** The widest strip of a valley that holds no more than `most`. */
function emptiest(
  text: Float64Array,
  first: number,
  last: number,
  most: number,
): { first: number; last: number }[] {
  let best = { first, last: first - 1 };
  let start = first;
  for (let bin = first; bin <= last + 1; bin += 1) {
    if (bin <= last && (text[bin] ?? 0) <= most) continue;
    if (bin - start > best.last - best.first + 1) best = { first: start, last: bin - 1 };
    start = bin + 1;
  }
  return best.last >= best.first ? [best] : [];
}

export function medianSize(fragments: readonly Fragment[]): number {
  const sizes = fragments.map((one) => one.size).sort((a, b) => a - b);
  return Math.max(1, sizes[Math.floor(sizes.length / 2)] ?? 10);
}
