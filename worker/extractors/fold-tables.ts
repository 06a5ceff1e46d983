// Tables to rows of text, shared by every format that has cells. A row of short cells becomes one line
// ("a | b | c"); a row that only arranges the page (one filled cell, or cells that hold headings or long prose)
// gives its blocks back as they are. A short row below rows of cells stays a row, so that a table is not torn in two.
// Nested tables fold from the inside out.
import type { Block } from "./cut-segments.ts";

export const CELL_SEPARATOR = " | ";
/** A cell with more than this is prose that somebody laid out with a table. */
const MAX_CELL_CHARS = 2_000;
const MAX_CELL_BLOCKS = 12;
/** Cells that a merged one stands for are counted up to here: the number is the file's word alone. */
const MAX_SPAN = 256;
const MAX_PADDED_CELLS = 4_096;
/** Tables nested deeper are text of the cell they stand in: each level hands all it holds to the one above. */
const MAX_DEPTH = 32;

type Row = { readonly cells: Block[][]; spanned: number };
type Table = { row: Row | null; hasRows: boolean };

export type TableFolder = {
  openTable(): void;
  closeTable(): void;
  openRow(): void;
  closeRow(): void;
  openCell(): void;
  /** The open cell is as wide as so many columns: what follows it keeps its place below the header. */
  spanCell(columns: number): void;
  /** Where the reader puts each block; it arrives at `emit` when no table is open. */
  put(block: Block): void;
};

export function createTableFolder(emit: (block: Block) => void): TableFolder {
  const tables: Table[] = [];
  let tooDeep = 0;
  const put = (block: Block): void => {
    const row = tables.findLast((table) => table.row !== null)?.row ?? null;
    if (row === null) {
      emit(block);
      return;
    }
    if (row.cells.length === 0) row.cells.push([]);
    row.cells[row.cells.length - 1 - row.spanned]?.push(block);
  };
  const closeRow = (): void => {
    if (tooDeep > 0) return;
    const table = tables.at(-1);
    if (table === undefined || table.row === null) return;
    const { cells } = table.row;
    table.row = null;
    const line = foldRow(cells, table.hasRows);
    table.hasRows ||= line !== null;
    for (const block of line === null ? cells.flat() : [line]) put(block);
  };
  return {
    put,
    closeRow,
    openTable() {
      if (tables.length === 0) emit({ kind: "gap" });
      if (tables.length >= MAX_DEPTH) tooDeep += 1;
      else tables.push({ row: null, hasRows: false });
    },
    closeTable() {
      if (tooDeep > 0) {
        tooDeep -= 1;
        return;
      }
      closeRow();
      tables.pop();
      if (tables.length === 0) emit({ kind: "gap" });
    },
    openRow() {
      if (tooDeep > 0) return;
      closeRow();
      const table = tables.at(-1);
      if (table !== undefined) table.row = { cells: [], spanned: 0 };
    },
    openCell() {
      const table = tables.at(-1);
      if (table === undefined || tooDeep > 0) return;
      // A cell outside of a row opens one: HTML leaves the row's tag out.
      table.row ??= { cells: [], spanned: 0 };
      table.row.cells.push([]);
      table.row.spanned = 0;
    },
    spanCell(columns) {
      const row = tables.at(-1)?.row;
      if (row == null || row.cells.length === 0 || row.cells.length > MAX_PADDED_CELLS || tooDeep > 0) return;
      const more = Math.min(columns - 1, MAX_SPAN) - row.spanned;
      for (let at = 0; at < more; at += 1) row.cells.push([]);
      row.spanned += Math.max(0, more);
    },
  };
}

/** The row as one line; null when it only arranges what stands in it. */
function foldRow(cells: readonly Block[][], belowRows: boolean): Block | null {
  const filled = cells.filter((blocks) => blocks.length > 0);
  const lonely = filled.length <= 1 && !(belowRows && filled.length === 1 && cells.length > 1);
  if (lonely || filled.some(isLayout)) return null;
  return { kind: "line", text: rowText(cells.map((blocks) => blocks.map(textOf).join(" "))) };
}

/** Cells as one line of text; empty cells at its end are left out. */
export function rowText(cells: readonly string[]): string {
  const texts = cells.map((cell) => cell.replace(/\s+/g, " ").trim());
  return texts.slice(0, texts.findLastIndex((text) => text !== "") + 1).join(CELL_SEPARATOR);
}

function isLayout(blocks: readonly Block[]): boolean {
  if (blocks.length > MAX_CELL_BLOCKS || blocks.some((block) => block.kind === "heading")) return true;
  return blocks.reduce((sum, block) => sum + textOf(block).length, 0) > MAX_CELL_CHARS;
}

function textOf(block: Block): string {
  return "text" in block ? block.text : "";
}
