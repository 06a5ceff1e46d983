// Regions of a page to lines: what stands on one baseline of a region is one line, its cells kept apart.
import { isRightToLeft, textOfRuns } from "./compose-text.ts";
import { type Fragment, rowsOf, sharesLine } from "./fragments.ts";
import { isItemMark } from "./list-marks.ts";
import type { Run } from "./runs.ts";

export type PdfLine = {
  readonly text: string;
  /** Left edge, right edge and baseline in points; y grows upwards. */
  readonly x: number;
  readonly right: number;
  readonly y: number;
  /** Size of most of its characters, in points. */
  readonly size: number;
  /** The document-wide name pdf.js gives the font of most of its characters, and their share. */
  readonly font: string;
  readonly fontShare: number;
  /** Pieces with more than a word's gap between them; more than one may be a table's row. */
  readonly cells: readonly Cell[];
  readonly rtl: boolean;
  /** Left and right edge of the lines around it. */
  readonly margins: { readonly left: number; readonly right: number };
  /** Region or tagged block: a paragraph does not go on in another one unless it is cut there. */
  readonly block: number;
  /** 0 for the page's own direction of writing, then one for each other. */
  readonly frame: number;
  /** Heading level by the document's own tags, else null. */
  readonly tagLevel: number | null;
  /** A table's row, by tags or by the columns it shares with its neighbours. */
  readonly row: boolean;
  /** Its font does not tell its characters (no map to Unicode): what stands in `text` means nothing. */
  readonly unreadable: boolean;
};

export type Cell = { readonly x: number; readonly right: number; readonly text: string };

/** Ems between two pieces of a line that make them cells. */
const CELL_GAP = 1;
/** Raised or lowered pieces of one line; more are a line of their own. */
const MAX_INDICES = 8;
/** Lines above and below that show where a column ends. */
const NEAR_LINES = 6;

type Place = { readonly block: number; readonly tagLevel?: number | null };

/** `isGarbled` knows the fonts whose characters are not what they seem. */
export function linesOfRegion(
  region: readonly Fragment[],
  { block, tagLevel = null }: Place,
  isGarbled: (font: string) => boolean = () => false,
): PdfLine[] {
  const rows = rowsWithIndices(region).map((row) => {
    const composed = composeRow(row);
    return { row, composed, unreadable: isMeaningless(composed.runs, isGarbled), ...leading(composed.runs) };
  });
  const edges = rows.map(({ composed: { x, right }, size, unreadable }) => ({ x, right, size, unreadable }));
  // Written out, and not spread: these are made for every line of a document.
  return rows.map(({ row, composed, font, share, size, unreadable }, at) => ({
    text: composed.text,
    x: composed.x,
    right: composed.right,
    y: yOf(composed.runs, font, row),
    size,
    font,
    fontShare: share,
    cells: composed.cells,
    rtl: composed.rtl,
    margins: marginsAround(edges, at),
    block,
    frame: 0,
    tagLevel,
    row: false,
    unreadable,
  }));
}

/** Left and right edge of the lines around one, those of other sizes left out: a title is wider than its text. */
function marginsAround(
  lines: readonly Pick<PdfLine, "x" | "right" | "size" | "unreadable">[],
  at: number,
): PdfLine["margins"] {
  const { x, right, size } = lines[at] ?? { x: 0, right: 0, size: 0 };
  const margins = { left: x, right };
  for (let near = Math.max(0, at - NEAR_LINES); near <= at + NEAR_LINES; near += 1) {
    const line = lines[near];
    if (line === undefined) break;
    if (line.unreadable || Math.abs(line.size - size) > 0.15 * size) continue;
    margins.left = Math.min(margins.left, line.x);
    margins.right = Math.max(margins.right, line.right);
  }
  return margins;
}

/** Rows by baseline; what stands raised or lowered beside a row belongs to it. */
function rowsWithIndices(region: readonly Fragment[]): Fragment[][] {
  const rows: Fragment[][] = [];
  for (const row of rowsOf(region)) {
    const above = rows.at(-1);
    if (row.length <= MAX_INDICES && above?.some((one) => row.every((other) => sits(one, other))))
      above.push(...row);
    else rows.push([...row]);
  }
  return rows;
}

/** Beside each other on one line, not above each other. */
function sits(one: Fragment, other: Fragment): boolean {
  return sharesLine(one, other) && (other.x >= one.right - 1 || one.x >= other.right - 1);
}

type Composed = Pick<PdfLine, "text" | "x" | "right" | "cells" | "rtl"> & { readonly runs: readonly Run[] };

function composeRow(row: readonly Fragment[]): Composed {
  const sorted = row.toSorted((a, b) => a.x - b.x || a.seq - b.seq);
  const runs = sorted.flatMap((fragment) => fragment.runs);
  const rtl = isRightToLeft(sorted.map((fragment) => fragment.text));
  const cells: { x: number; right: number; runs: Run[] }[] = [];
  for (const fragment of sorted) {
    const last = cells.at(-1);
    if (last !== undefined && fragment.x - last.right < CELL_GAP * fragment.size) {
      last.runs.push(...fragment.runs);
      last.right = Math.max(last.right, fragment.right);
    } else cells.push({ x: fragment.x, right: fragment.right, runs: [...fragment.runs] });
  }
  const told = (rtl ? cells.toReversed() : cells)
    .map(({ x, right, runs: own }) => ({ x, right, text: textOfRuns(own, rtl) }))
    .filter((cell) => cell.text !== "");
  const text = told.map((cell) => cell.text).join(" ");
  const x = sorted[0]?.x ?? 0;
  const right = cells.reduce((far, cell) => Math.max(far, cell.right), Number.NEGATIVE_INFINITY);
  return {
    text,
    x,
    right,
    cells: isListItem(told) ? [{ x, right, text }] : told,
    rtl,
    runs,
  };
}

/** A mark alone and what it marks, however far apart they are set. */
const isListItem = ([mark, item, more]: readonly Cell[]): boolean =>
  mark !== undefined && item !== undefined && more === undefined && isItemMark(mark.text);

/** Font and size of most characters. */
function leading(runs: readonly Run[]): { font: string; share: number; size: number } {
  const only = runs[0];
  if (runs.length === 1 && only !== undefined)
    return { font: only.font, share: 1, size: Math.round(only.size * 10) / 10 };
  const [font, chars] = most(runs, (run) => run.font);
  const [size] = most(runs, (run) => Math.round(run.size * 10) / 10);
  return { font, share: chars / runs.reduce((sum, run) => sum + run.text.length, 0), size };
}

function most<Key>(runs: readonly Run[], keyOf: (run: Run) => Key): [Key, number] {
  const counts = new Map<Key, number>();
  for (const run of runs) counts.set(keyOf(run), (counts.get(keyOf(run)) ?? 0) + run.text.length);
  return [...counts].reduce((best, one) => (one[1] > best[1] ? one : best));
}

const yOf = (runs: readonly Run[], font: string, row: readonly Fragment[]): number =>
  runs.find((run) => run.font === font)?.y ?? row[0]?.y ?? 0;

/** Most of its characters mean nothing. */
function isMeaningless(runs: readonly Run[], isGarbled: (font: string) => boolean): boolean {
  let chars = 0;
  let lost = 0;
  for (const run of runs) {
    const garbled = isGarbled(run.font);
    const inked = garbled || run.meaningless > 0 ? run.text.replace(/\s+/g, "").length : run.text.length;
    chars += inked;
    lost += garbled ? inked : Math.min(run.meaningless, inked);
  }
  return lost > chars / 2;
}
