// Runs to fragments: what stands side by side on one baseline with no more than a word's gap between. A fragment
// is a line of a column, a cell of a table or a part of a header; reading order is found among fragments.
import type { Run } from "./runs.ts";

export type Fragment = {
  /** From left to right. */
  readonly runs: readonly Run[];
  /** Their texts with a space between each two: to judge by, not to give out. */
  readonly text: string;
  readonly x: number;
  readonly right: number;
  /** Baseline, and size of its largest run, in points. */
  readonly y: number;
  readonly size: number;
  /** The place of its first run in the content stream. */
  readonly seq: number;
};

/** Ems between runs that follow each other in the stream; justified lines stretch to nearly one. */
const NEXT_GAP = 0.95;
/** Ems between runs that were drawn apart in time: a column's neighbour may be as close as 0.7. */
const LATER_GAP = 0.45;
/** A line may be overlapped by its neighbour so far: kerning, italics, boxes that are too wide. */
const OVERLAP = 0.5;
const BASELINE_SHIFT = 0.2;

/** Ascending and descending part of a line's box, as shares of its size. */
export const ASCENT = 0.75;
export const DESCENT = 0.22;

/** `barrier` tells two runs apart that must not share a fragment, such as cells by their tags. */
export function fragmentsOf(
  runs: readonly Run[],
  barrier: (one: Run, other: Run) => boolean = () => false,
): Fragment[] {
  const drawn: Piece[] = [];
  for (const run of runs) {
    const last = drawn.at(-1);
    if (last !== undefined && follows(last, run) && !barrier(last.tail, run)) add(last, run);
    else drawn.push({ runs: [run], tail: run, x: run.x, right: run.right, y: run.y, size: run.size });
  }
  return mergeNeighbours(drawn, barrier).map(({ runs: own, x, right, y, size }) => {
    const sorted = own.length === 1 ? own : own.toSorted((a, b) => a.x - b.x || a.seq - b.seq);
    const seq = own.reduce((first, run) => Math.min(first, run.seq), Number.POSITIVE_INFINITY);
    return { runs: sorted, text: sorted.map((run) => run.text).join(" "), x, right, y, size, seq };
  });
}

type Piece = { runs: Run[]; tail: Run; x: number; right: number; y: number; size: number };

function follows(piece: Piece, run: Run): boolean {
  if (!sharesLine(piece, run)) return false;
  const size = Math.max(piece.size, run.size);
  const ahead = run.x - piece.right;
  const behind = piece.x - run.right;
  if (ahead >= -OVERLAP * size) return ahead <= NEXT_GAP * size;
  // Right-to-left text is drawn leftwards; anything else that steps back begins anew.
  return behind >= -OVERLAP * size && behind <= NEXT_GAP * size;
}

/** On one baseline, or raised and lowered as indices are. */
export function sharesLine(
  line: { readonly y: number; readonly size: number },
  other: { readonly y: number; readonly size: number },
): boolean {
  const [large, small] = line.size >= other.size ? [line, other] : [other, line];
  const shift = Math.abs(large.y - small.y);
  if (shift <= BASELINE_SHIFT * small.size) return true;
  return small.size < 0.85 * large.size && shift < 0.55 * large.size;
}

function add(piece: Piece, run: Run): void {
  piece.runs.push(run);
  piece.tail = run;
  piece.x = Math.min(piece.x, run.x);
  piece.right = Math.max(piece.right, run.right);
  if (run.size > 1.05 * piece.size) {
    piece.size = run.size;
    piece.y = run.y;
  }
}

/** Joins what the stream drew apart: bold words drawn after the rest, right-to-left text letter by letter. */
function mergeNeighbours(pieces: Piece[], barrier: (one: Run, other: Run) => boolean): Piece[] {
  const merged: Piece[] = [];
  for (const row of rowsOf(pieces)) {
    row.sort((a, b) => a.x - b.x);
    let last: Piece | null = null;
    for (const piece of row) {
      if (last !== null && isNext(last, piece) && !barrier(last.tail, piece.tail)) {
        for (const run of piece.runs) add(last, run);
        continue;
      }
      merged.push(piece);
      last = piece;
    }
  }
  return merged;
}

function isNext(left: Piece, right: Piece): boolean {
  const gap = right.x - left.right;
  const size = Math.min(left.size, right.size);
  return gap >= -OVERLAP * size && gap <= LATER_GAP * size && sharesLine(left, right);
}

/** Groups by baseline, from the top of the page down. */
export function rowsOf<Line extends { readonly y: number; readonly size: number }>(
  lines: readonly Line[],
): Line[][] {
  const rows: { y: number; size: number; lines: Line[] }[] = [];
  for (const line of lines.toSorted((a, b) => b.y - a.y)) {
    const row = rows.at(-1);
    if (row !== undefined && row.y - line.y <= BASELINE_SHIFT * Math.min(row.size, line.size))
      row.lines.push(line);
    else rows.push({ y: line.y, size: line.size, lines: [line] });
  }
  return rows.map((row) => row.lines);
}
