// Rows that leave cells of their table empty: nothing is drawn there, so the cells that follow would move below the
// headers of others. Columns are told by the rows that have a cell in each.
import type { Cell, PdfLine } from "./lines.ts";

/** Lines between two rows of a table: a wrapped cell, a title within it. */
const MAX_BETWEEN = 2;
/** Share of a table's rows that have all its cells: a wide gap within one of them makes no column. */
const COMPLETE_SHARE = 0.5;
/** Two at least, for the same reason. */
const MIN_COMPLETE = 2;

/** The same lines, their rows with an empty cell for each that is missing before their last one. */
export function fillEmptyCells(lines: readonly PdfLine[]): readonly PdfLine[] {
  if (!lines.some((line) => line.row && line.cells.length > 2)) return lines;
  const filled = [...lines];
  let table: number[] = [];
  const flush = (): void => {
    const columns = columnsOf(table.map((at) => lines[at]?.cells ?? []));
    for (const at of columns === null ? [] : table) {
      const line = lines[at];
      const cells = placeIn(columns ?? [], line?.cells ?? []);
      if (line !== undefined && cells !== null) filled[at] = { ...line, cells };
    }
    table = [];
  };
  for (const [at, line] of lines.entries()) {
    if (!line.row) continue;
    if (at - (table.at(-1) ?? at) > MAX_BETWEEN + 1) flush();
    table.push(at);
  }
  flush();
  return filled;
}

/** From where to where the cells of complete rows reach; null where they do not stand under each other. */
function columnsOf(rows: readonly (readonly Cell[])[]): Cell[] | null {
  const count = Math.max(0, ...rows.map((cells) => cells.length));
  const complete = rows.filter((cells) => cells.length === count);
  if (complete.length === rows.length) return null;
  if (complete.length < Math.max(MIN_COMPLETE, COMPLETE_SHARE * rows.length)) return null;
  const columns = Array.from({ length: count }, (_, at) => ({
    x: Math.min(...complete.map((cells) => cells[at]?.x ?? Number.POSITIVE_INFINITY)),
    right: Math.max(...complete.map((cells) => cells[at]?.right ?? Number.NEGATIVE_INFINITY)),
    text: "",
  }));
  const sorted = columns.toSorted((a, b) => a.x - b.x);
  return sorted.every((column, at) => (sorted[at - 1]?.right ?? column.x) <= column.x) ? columns : null;
}

/** Null where two cells would stand in one column or one in two, or where none is missing. */
function placeIn(columns: readonly Cell[], cells: readonly Cell[]): Cell[] | null {
  if (cells.length === columns.length) return null;
  const placed: Cell[] = [...columns];
  let last = -1;
  for (const cell of cells) {
    const at = columnOf(columns, cell);
    if (at === null || at <= last) return null;
    placed[at] = cell;
    last = at;
  }
  return placed.slice(0, last + 1);
}

/** The column that the cell shares most of its width with, else the one whose edge is nearest; null across two. */
function columnOf(columns: readonly Cell[], cell: Cell): number | null {
  const shared = columns.map(({ x, right }) => Math.min(right, cell.right) - Math.max(x, cell.x));
  if (shared.filter((width) => width > 0).length > 1) return null;
  return shared.indexOf(Math.max(...shared));
}
