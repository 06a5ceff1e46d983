// Which lines of a page are rows of a table: neighbours whose cells stand under each other. Rules are not looked
// at: asking pdf.js for what is drawn costs as much as the text, and many tables have none.
import type { Cell, PdfLine } from "./lines.ts";

/** Rows with two cells are often no table but words set apart: then more of them must agree. */
const MIN_ROWS = 2;
const MIN_ROWS_OF_PAIRS = 3;
/** Edges stand under each other within this share of the size. */
const EDGE_SHIFT = 0.4;
/** Lines between two rows that may be a wrapped cell or a title within the table. */
const MAX_BETWEEN = 2;
/** A cell that holds more is no cell but a line of prose. */
const MAX_CELL_CHARS = 200;

/** The same lines, rows marked. */
export function markRows(lines: readonly PdfLine[]): PdfLine[] {
  const rows = new Set<number>();
  let run: number[] = [];
  const flush = (): void => {
    const cells = Math.max(0, ...run.map((at) => lines[at]?.cells.length ?? 0));
    if (run.length >= (cells > 2 ? MIN_ROWS : MIN_ROWS_OF_PAIRS)) for (const at of run) rows.add(at);
    run = [];
  };
  for (const [at, line] of lines.entries()) {
    if (line.cells.length < 2 || line.cells.some((cell) => cell.text.length > MAX_CELL_CHARS)) continue;
    const last = run.at(-1);
    const above = last === undefined ? undefined : lines[last];
    if (last !== undefined && above !== undefined)
      if (at - last > MAX_BETWEEN + 1 || above.y <= line.y || !standUnder(run, lines, line)) flush();
    run.push(at);
  }
  flush();
  return lines.map((line, at) => (rows.has(at) ? { ...line, row: true } : line));
}

/** At least half of the shorter row's cells share an edge or the middle with a cell of one of the last rows. */
function standUnder(run: readonly number[], lines: readonly PdfLine[], line: PdfLine): boolean {
  return run.slice(-2).some((at) => {
    const above = lines[at];
    if (above === undefined) return false;
    const [few, many] =
      above.cells.length < line.cells.length ? [above.cells, line.cells] : [line.cells, above.cells];
    const slack = EDGE_SHIFT * line.size;
    const common = few.filter((cell) => many.some((other) => aligns(cell, other, slack))).length;
    return common >= Math.max(1, few.length / 2);
  });
}

function aligns(cell: Cell, other: Cell, slack: number): boolean {
  return (
    Math.abs(cell.x - other.x) <= slack ||
    Math.abs(cell.right - other.right) <= slack ||
    Math.abs(cell.x + cell.right - other.x - other.right) <= slack
  );
}
