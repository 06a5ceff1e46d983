// One sheet as rows of text, from XML events. Nothing but the open row is held, so that a sheet of a million rows
// needs no more memory than one of ten.
import type { Block } from "./cut-segments.ts";
import { rowText } from "./fold-tables.ts";
import type { XmlEvents } from "./office-xml.ts";
import type { NumberFormat } from "./xlsx-numbers.ts";
import { createRichTextReader } from "./xlsx-workbook.ts";

/** Excel's last column is XFD. */
const MAX_COLUMNS = 16_384;
/** Wider gaps between two cells are no empty columns of a table. */
const MAX_GAP = 32;

export type SheetContext = {
  readonly texts: readonly string[];
  formatOf(style: number): NumberFormat;
};

export type SheetReader = XmlEvents & {
  /** Formulas whose result the writer did not store. */
  readonly unsolved: number;
};

export function createSheetReader(context: SheetContext, emit: (block: Block) => void): SheetReader {
  const rich = createRichTextReader();
  let cells: string[] = [];
  let columns: number[] = [];
  let row = 0;
  let lastRow = -1;
  let column = 0;
  let firstColumn = 0;
  let type = "n";
  let style = 0;
  let value = "";
  let inValue = false;
  let formula = false;
  let unsolved = 0;

  const openCell = (reference: string | undefined): void => {
    column = columnOf(reference) ?? column + 1;
    value = "";
    formula = false;
  };
  const closeCell = (): void => {
    const inline = rich.take();
    const text = type === "inlineStr" ? inline : cellText(type, value, style, context);
    if (formula && value === "" && type !== "str") unsolved += 1;
    if (text.trim() === "" || column > MAX_COLUMNS) return;
    cells.push(text);
    columns.push(column);
  };
  const closeRow = (): void => {
    const first = columns[0];
    if (first === undefined) return;
    // An empty row ends a table; the next one may begin at another column.
    const fresh = row !== lastRow + 1;
    if (fresh) emit({ kind: "gap" });
    firstColumn = fresh ? first : Math.min(firstColumn, first);
    lastRow = row;
    emit({ kind: "line", text: rowText(placed(cells, columns, firstColumn)) });
  };

  return {
    get unsolved() {
      return unsolved;
    },
    open(name, attributes) {
      if (name === "x:row") {
        row = rowOf(attributes.r) ?? row + 1;
        cells = [];
        columns = [];
        column = 0;
      } else if (name === "x:c") {
        openCell(attributes.r);
        type = attributes.t ?? "n";
        style = Number(attributes.s ?? 0);
      } else if (name === "x:v") inValue = true;
      else if (name === "x:f") formula = true;
      else rich.open(name);
    },
    text(text) {
      if (inValue) value += text;
      else rich.text(text);
    },
    close(name) {
      if (name === "x:v") inValue = false;
      else if (name === "x:c") closeCell();
      else if (name === "x:row") closeRow();
      else rich.close(name);
    },
  };
}

/** Cells at their columns, with empty ones between. */
function placed(cells: readonly string[], columns: readonly number[], firstColumn: number): string[] {
  const line: string[] = [];
  let next = firstColumn;
  cells.forEach((cell, at) => {
    const column = columns[at] ?? next;
    for (let gap = Math.min(MAX_GAP, column - next); gap > 0; gap -= 1) line.push("");
    line.push(cell);
    next = column + 1;
  });
  return line;
}

/** Cell types of ISO 29500-1, 18.18.11. */
function cellText(type: string, value: string, style: number, { texts, formatOf }: SheetContext): string {
  if (type === "s") return texts[Number(value)] ?? "";
  if (type === "b") return value === "1" || value === "true" ? "TRUE" : value === "" ? "" : "FALSE";
  if (type === "d") return value.replace("T", " ").replace(/ 00:00(:00(\.0+)?)?Z?$/, "");
  if (type === "str" || type === "e") return value;
  const number = value.trim() === "" ? Number.NaN : Number(value);
  return Number.isNaN(number) ? value : formatOf(style).write(number);
}

/** The column of a reference such as `AB12`, from 1. */
function columnOf(reference: string | undefined): number | null {
  if (reference === undefined) return null;
  let column = 0;
  for (let at = 0; at < reference.length && at < 4; at += 1) {
    const letter = reference.charCodeAt(at) & ~32;
    if (letter < 65 || letter > 90) break;
    column = column * 26 + letter - 64;
  }
  return column === 0 ? null : column;
}

function rowOf(value: string | undefined): number | null {
  const row = Number(value);
  return Number.isInteger(row) && row > 0 ? row : null;
}
