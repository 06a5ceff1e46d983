// One sheet as rows of text, from XML events. Nothing but the open row is held, so that a sheet of a million rows
// needs no more memory than one of ten.
import type { Block } from "../cut-segments.ts";
import type { XmlEvents } from "../office/xml.ts";
import { createSheetRows } from "../sheet-rows.ts";
import type { NumberFormat } from "./numbers.ts";
import { createRichTextReader } from "./workbook.ts";

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
  const rows = createSheetRows(emit);
  let row = 0;
  let column = 0;
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
    rows.addCell(column, text);
  };

  return {
    get unsolved() {
      return unsolved;
    },
    open(name, attributes) {
      if (name === "x:row") {
        row = rowOf(attributes.r) ?? row + 1;
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
      else if (name === "x:row") rows.endRow(row);
      else rich.close(name);
    },
  };
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
