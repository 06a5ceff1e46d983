// Rows of a spreadsheet as lines of text, from cells that know their columns. Shared by XLSX and ODS.
import type { Block } from "./cut-segments.ts";
import { rowText } from "./fold-tables.ts";

/** Excel's last column is XFD. */
const MAX_COLUMNS = 16_384;
/** Wider gaps between two cells are no empty columns of a table. */
const MAX_GAP = 32;

export type SheetRows = {
  /** Columns count from 1; empty cells need not be told. */
  addCell(column: number, text: string): void;
  /** Rows count from 1. */
  endRow(row: number): void;
};

export function createSheetRows(emit: (block: Block) => void): SheetRows {
  let cells: { readonly column: number; readonly text: string }[] = [];
  let lastRow = -1;
  let firstColumn = 0;
  return {
    addCell(column, text) {
      if (text.trim() !== "" && column <= MAX_COLUMNS) cells.push({ column, text });
    },
    endRow(row) {
      const first = cells[0];
      if (first === undefined) return;
      // An empty row ends a table; the next one may begin at another column.
      const fresh = row !== lastRow + 1;
      if (fresh) emit({ kind: "gap" });
      firstColumn = fresh ? first.column : Math.min(firstColumn, first.column);
      lastRow = row;
      const line: string[] = [];
      let next = firstColumn;
      for (const { column, text } of cells) {
        for (let gap = Math.min(MAX_GAP, column - next); gap > 0; gap -= 1) line.push("");
        line.push(text);
        next = column + 1;
      }
      cells = [];
      emit({ kind: "line", text: rowText(line) });
    },
  };
}
