// A large letter that hangs beside the first lines of a paragraph belongs to the first of them, though it stands on
// the baseline of the last.
import type { Frame, PageRuns, Run } from "./runs.ts";

/** Times the size of the text beside it. */
const MIN_SIZE = 1.8;
/** Sizes of the text: how far the text begins from it, and how far its first line stands above its baseline. */
const GAP = { min: -0.3, max: 1.2 };
const MIN_RISE = 0.6;
const SHIFT = 0.5;
/** Runs among which the next line is sought. */
const NEAR_RUNS = 40;
const CAPITAL = /^["“„«‘']?\p{Lu}$/u;
const CONTINUES = /^[\p{L}’']/u;

/** The same page with such letters put before their lines. */
export function joinDropCapitals(page: PageRuns): PageRuns {
  return { ...page, frames: page.frames.map(joinIn) };
}

function joinIn(frame: Frame): Frame {
  const { runs } = frame;
  if (!runs.some((run, at) => isDropped(run, at, runs))) return frame;
  const joined: Run[] = [];
  for (const [at, run] of runs.entries()) {
    if (isDropped(run, at, runs)) continue;
    const before = runs[at - 1];
    const whole = before !== undefined && isDropped(before, at - 1, runs);
    joined.push(whole ? { ...run, text: before.text + (run.spaced ? " " : "") + run.text } : run);
  }
  return { ...frame, runs: joined };
}

function isDropped(capital: Run, at: number, runs: readonly Run[]): boolean {
  if (capital.text.length > 2 || !CAPITAL.test(capital.text)) return false;
  const first = runs[at + 1];
  if (first === undefined || capital.size < MIN_SIZE * first.size || !CONTINUES.test(first.text))
    return false;
  const gap = (first.x - capital.right) / first.size;
  const rise = first.y - capital.y;
  if (gap < GAP.min || gap > GAP.max || rise < MIN_RISE * first.size || rise > capital.size) return false;
  const isSecond = ({ x, y }: Run): boolean =>
    Math.abs(x - first.x) <= SHIFT * first.size && y < first.y && y >= capital.y - SHIFT * first.size;
  return runs.slice(at + 2, at + 2 + NEAR_RUNS).some(isSecond);
}
