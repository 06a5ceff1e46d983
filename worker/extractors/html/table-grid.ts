// Columns of HTML tables: a cell that spans rows or columns leaves empty cells where it reaches, so that the
// others stay under their headers.
import type { TableFolder } from "../fold-tables.ts";

/** Spans are followed this far to the right: each row then costs a bounded number of empty cells, whatever it claims. */
const MAX_COLUMNS = 64;
const MAX_ROWS = 65_534;

type Attributes = Readonly<Record<string, string>>;

type Grid = {
  /** Where the next cell of the open row stands. */
  column: number;
  /** Empty cells that the last cell's span asks for, before the next one. */
  owed: number;
  /** By column, how many of the rows to come are taken by a cell from above. */
  taken: number[];
};

/** Opens the folder's tables, rows and cells as the elements say. */
export function createTableGrid(folder: TableFolder): {
  enter(name: string, attributes: Attributes): void;
  leave(name: string): void;
} {
  const grids: Grid[] = [];

  const openCell = (grid: Grid, attributes: Attributes): void => {
    for (; grid.owed > 0; grid.owed -= 1) folder.openCell();
    for (; (grid.taken[grid.column] ?? 0) > 0; grid.column += 1) {
      grid.taken[grid.column] = (grid.taken[grid.column] ?? 0) - 1;
      folder.openCell();
    }
    folder.openCell();
    const room = Math.max(MAX_COLUMNS - grid.column, 1);
    const columns = Math.min(spanOf(attributes.colspan), room);
    const rows = attributes.rowspan === "0" ? MAX_ROWS : Math.min(spanOf(attributes.rowspan), MAX_ROWS);
    for (let at = grid.column; at < grid.column + columns && at < MAX_COLUMNS; at += 1)
      // One more than the rows below: closing this row takes one off.
      if (rows > 1) grid.taken[at] = -rows;
    grid.column += columns;
    grid.owed = columns - 1;
  };
  const closeRow = (grid: Grid): void => {
    for (const [at, rows] of grid.taken.entries()) {
      if (rows < 0) grid.taken[at] = -rows - 1;
      else if (at >= grid.column && rows > 0) grid.taken[at] = rows - 1;
    }
    grid.column = 0;
    grid.owed = 0;
  };

  return {
    enter(name, attributes) {
      if (name === "table") {
        grids.push({ column: 0, owed: 0, taken: [] });
        folder.openTable();
      }
      const grid = grids.at(-1);
      if (grid === undefined) return;
      if (name === "tr") folder.openRow();
      if (name === "td" || name === "th") openCell(grid, attributes);
    },
    leave(name) {
      const grid = grids.at(-1);
      if (grid === undefined) return;
      if (name === "tr") {
        folder.closeRow();
        closeRow(grid);
      }
      if (name === "thead" || name === "tbody" || name === "tfoot") grid.taken = [];
      if (name === "table") {
        folder.closeTable();
        grids.pop();
      }
    },
  };
}

function spanOf(said: string | undefined): number {
  const span = Number.parseInt(said ?? "1", 10);
  return span >= 1 ? span : 1;
}
