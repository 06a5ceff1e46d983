// Tables to rows of text, shared by every format that has cells. A row of short cells becomes one line
// ("a | b | c"); a row that only arranges the page (one filled cell, or cells that hold headings or long prose)
// gives its blocks back as they are. Nested tables fold from the inside out.
import type { Block } from "./cut-segments.ts";

export const CELL_SEPARATOR = " | ";
/** A cell with more than this is prose that somebody laid out with a table. */
const MAX_CELL_CHARS = 2_000;
const MAX_CELL_BLOCKS = 12;

type Row = { readonly cells: Block[][] };

export type TableFolder = {
  openTable(): void;
  closeTable(): void;
  openRow(): void;
  closeRow(): void;
  openCell(): void;
  /** Where the reader puts each block; it arrives at `emit` when no table is open. */
  put(block: Block): void;
};

export function createTableFolder(emit: (block: Block) => void): TableFolder {
  const tables: (Row | null)[] = [];
  const put = (block: Block): void => {
    const row = tables.findLast((open) => open !== null);
    if (row === undefined || row === null) {
      emit(block);
      return;
    }
    if (row.cells.length === 0) row.cells.push([]);
    row.cells.at(-1)?.push(block);
  };
  const closeRow = (): void => {
    const row = tables.at(-1);
    if (row === undefined || row === null) return;
    tables[tables.length - 1] = null;
    for (const block of foldRow(row.cells)) put(block);
  };
  return {
    put,
    closeRow,
    openTable: () => void tables.push(null),
    closeTable() {
      closeRow();
      tables.pop();
    },
    openRow() {
      closeRow();
      if (tables.length > 0) tables[tables.length - 1] = { cells: [] };
    },
    openCell() {
      // A cell outside of a row opens one: HTML leaves the row's tag out.
      if (tables.length > 0 && tables.at(-1) === null) tables[tables.length - 1] = { cells: [] };
      tables.at(-1)?.cells.push([]);
    },
  };
}

function foldRow(cells: readonly Block[][]): readonly Block[] {
  const filled = cells.filter((blocks) => blocks.length > 0);
  if (filled.length <= 1 || filled.some(isLayout)) return filled.flat();
  const texts = cells.map((blocks) => blocks.map(textOf).join(" ").replace(/\s+/g, " ").trim());
  return [{ kind: "line", text: texts.join(CELL_SEPARATOR).replace(/[ |]+$/, "") }];
}

function isLayout(blocks: readonly Block[]): boolean {
  if (blocks.length > MAX_CELL_BLOCKS || blocks.some((block) => block.kind === "heading")) return true;
  return blocks.reduce((sum, block) => sum + textOf(block).length, 0) > MAX_CELL_CHARS;
}

function textOf(block: Block): string {
  return block.kind === "page" ? "" : block.text;
}
