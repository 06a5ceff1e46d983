// Whether two stacks of fragments beside each other are columns, each read to its end, or the cells of rows.
// Prose fills its column and pays no heed to its neighbour; cells are short, stand on common baselines and are
// mostly drawn row by row.
import { type Fragment, rowsOf } from "./fragments.ts";
import { medianSize } from "./gutters.ts";

/** Below two lines a stack is no column. */
const MIN_LINES = 2;
/** Mean characters in a line of prose; narrow newspaper columns have about 25. */
const PROSE_CHARS = 16;
/** Mean width of a line as a share of its column's. */
const PROSE_FILL = 0.5;
/** Lines that fill their column so far, or go on in the middle of a sentence, are prose however they were drawn. */
const FULL_FILL = 0.75;
const FULL_CHARS = 20;
const OPEN_LINES = 0.4;
const ALIGNED = 0.6;
/** Breaks through both stacks that make them a table with wrapped cells. */
const MIN_ROW_BREAKS = 2;
/** More rows than a page of readable text has; they are compared each with each. */
const MAX_ROW_BREAKS = 500;

type Stack = {
  readonly lines: readonly StackLine[];
  readonly chars: number;
  readonly fill: number;
  /** Share of lines that begin in lower case. */
  readonly open: number;
};
type StackLine = { readonly y: number; readonly text: string };

/** What two stacks beside each other are. `from`: the height at which each row of wrapped cells but the first begins. */
export type Verdict =
  | { readonly kind: "columns" }
  | { readonly kind: "wrapped rows"; readonly from: readonly number[] }
  | { readonly kind: "lines" };

const COLUMNS: Verdict = { kind: "columns" };
const LINES: Verdict = { kind: "lines" };

export function judgeStacks(leftOnes: readonly Fragment[], rightOnes: readonly Fragment[]): Verdict {
  const [left, right] = [stackOf(leftOnes), stackOf(rightOnes)];
  const lines = Math.min(left.lines.length, right.lines.length);
  if (lines < MIN_LINES || !overlap(left, right)) return LINES;
  const em = medianSize(leftOnes);
  const prose = isProse(left) && isProse(right);
  const rows = prose ? rowBreaks(left, right, em) : [];
  if (rows.length > 0) return { kind: "wrapped rows", from: rows };
  if (prose && isFull(left) && isFull(right)) return COLUMNS;
  const aligned = alignedShare(left, right, em);
  if (aligned < ALIGNED) return COLUMNS;
  if (isList(left) || isList(right)) return LINES;
  // Side by side on common baselines: the order in which they were drawn says what they are.
  return switches(leftOnes, rightOnes) <= Math.max(2, lines / 4) ? COLUMNS : LINES;
}

function stackOf(fragments: readonly Fragment[]): Stack {
  const rows = rowsOf(fragments);
  let [left, right] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  let [width, chars, open] = [0, 0, 0];
  const lines = rows.map((row) => {
    const text = row.map((one) => one.text).join(" ");
    for (const one of row) {
      width += one.right - one.x;
      left = Math.min(left, one.x);
      right = Math.max(right, one.right);
    }
    chars += WIDE.test(text) ? 2 * text.length : text.length;
    if (/^\p{Ll}/u.test(text)) open += 1;
    return { y: row[0]?.y ?? 0, text };
  });
  const count = Math.max(1, rows.length);
  return {
    lines,
    chars: chars / count,
    fill: width / count / Math.max(1, right - left),
    open: open / count,
  };
}

/** A character as wide as two Latin ones. */
const WIDE = /[\u2e80-\ud7ff\uf900-\ufaff\uff00-\uff60]/;

const isFull = (stack: Stack): boolean =>
  stack.open >= OPEN_LINES || (stack.fill >= FULL_FILL && stack.chars >= FULL_CHARS);
const isProse = (stack: Stack): boolean => stack.chars >= PROSE_CHARS && stack.fill >= PROSE_FILL;

function overlap(left: Stack, right: Stack): boolean {
  const [a, b] = [spanOf(left), spanOf(right)];
  return a.top >= b.bottom && b.top >= a.bottom;
}

function spanOf({ lines }: Stack): { top: number; bottom: number } {
  return { top: lines[0]?.y ?? 0, bottom: lines.at(-1)?.y ?? 0 };
}

/** Share of the shorter stack's lines that stand on a line of the other. */
function alignedShare(left: Stack, right: Stack, em: number): number {
  const [few, many] = left.lines.length <= right.lines.length ? [left, right] : [right, left];
  let at = 0;
  let common = 0;
  for (const { y } of few.lines) {
    while (at + 1 < many.lines.length && (many.lines[at + 1]?.y ?? 0) >= y - 0.2 * em) at += 1;
    if (Math.abs((many.lines[at]?.y ?? Number.NaN) - y) <= 0.2 * em) common += 1;
  }
  return common / few.lines.length;
}

/** Numbers, labels and list marks: a stack of them means nothing without what stands beside it. */
function isList({ lines }: Stack): boolean {
  const short = lines.filter(
    ({ text }) =>
      /:$/.test(text) ||
      /^[^\p{L}]*$/u.test(text) ||
      /^\(?(?:\p{L}|[ivxlc]{1,5}|\d{1,3}(?:\.\d{1,3})*)[).:]?$/iu.test(text),
  );
  return short.length >= lines.length / 2;
}

/** Wrapped cells: where one stack breaks the other does too, and both go on at one height. */
function rowBreaks(left: Stack, right: Stack, em: number): number[] {
  const [a, b] = [breaksOf(left), breaksOf(right)];
  if (a.length > MAX_ROW_BREAKS || b.length > MAX_ROW_BREAKS) return [];
  const common = a.filter((one) =>
    b.some((other) => one.from > other.to && other.from > one.to && Math.abs(one.to - other.to) <= 0.3 * em),
  );
  const enough = common.length >= MIN_ROW_BREAKS && common.length >= 0.7 * Math.max(a.length, b.length);
  return enough ? common.map((one) => one.to) : [];
}

/** Steps down that are clearly larger than the stack's usual one. */
function breaksOf({ lines }: Stack): { from: number; to: number }[] {
  const steps = lines.slice(1).map((line, at) => ({ from: lines[at]?.y ?? 0, to: line.y }));
  const sizes = steps.map(({ from, to }) => from - to).sort((a, b) => a - b);
  const usual = sizes[Math.floor(sizes.length / 3)] ?? 0;
  return steps.filter(({ from, to }) => from - to > 1.2 * usual);
}

/** How often the drawing went from one stack to the other. */
function switches(left: readonly Fragment[], right: readonly Fragment[]): number {
  const order = [
    ...left.map(({ seq }) => ({ seq, side: 0 })),
    ...right.map(({ seq }) => ({ seq, side: 1 })),
  ].sort((a, b) => a.seq - b.seq);
  return order.filter(({ side }, at) => at > 0 && side !== order[at - 1]?.side).length;
}
