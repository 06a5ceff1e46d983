// The sheets of an OpenDocument spreadsheet as rows of text. Cells read as they are shown, dates in ISO form as in
// XLSX. Files write long runs of equal cells and rows as one with a count; an equal row is read once.
import type { Block } from "../cut-segments.ts";
import type { XmlEvents } from "../office/xml.ts";
import { createSheetRows } from "../sheet-rows.ts";
import type { OdfStyles } from "./styles.ts";

/** A count is the file's word alone. */
const MAX_REPEATS = 64;

export type OdfSheets = XmlEvents & { readonly hidden: number };

export function createOdfSheets(styles: OdfStyles, emit: (block: Block) => void): OdfSheets {
  const rows = createSheetRows(emit);
  let sheet = 0;
  let hidden = 0;
  let named: string | null = null;
  let row = 0;
  let column = 0;
  let repeats = 1;
  let fixed: string | null = null;
  let text = "";
  let skip = 0;
  let inText = 0;

  const closeCell = (): void => {
    const shown = fixed ?? text;
    const filled = shown.trim() !== "";
    if (filled && named !== null) {
      sheet += 1;
      emit({ kind: "page", page: sheet });
      emit({ kind: "heading", level: 1, text: named });
      named = null;
    }
    for (let at = 0; filled && at < Math.min(repeats, MAX_REPEATS); at += 1)
      rows.addCell(column + at + 1, shown);
    column += repeats;
  };

  return {
    get hidden() {
      return hidden;
    },
    open(name, attributes) {
      if (skip > 0) skip += 1;
      else if (name === "table:table" && styles.isHidden(attributes["table:style-name"])) {
        hidden += 1;
        skip = 1;
      } else if (/^(office:annotation|table:tracked-changes|office:forms|draw:.*|table:shapes)$/.test(name))
        skip = 1;
      else if (name === "table:table") {
        // Where nothing was written, no row ends: rows of two sheets never follow each other.
        row += 2;
        named = attributes["table:name"] ?? "";
      } else if (name === "table:table-row") {
        row += 1;
        column = 0;
        repeats = 1;
      } else if (name === "table:table-cell" || name === "table:covered-table-cell") {
        repeats = countOf(attributes["table:number-columns-repeated"]);
        fixed = attributes["office:value-type"] === "date" ? dateOf(attributes["office:date-value"]) : null;
        text = "";
      } else if (name === "text:p") {
        inText += 1;
        if (text !== "") text += " ";
      } else if (name === "text:s" || name === "text:tab" || name === "text:line-break") text += " ";
      if (skip === 0 && name === "table:table-row" && countOf(attributes["table:number-rows-repeated"]) > 1)
        row += 1;
    },
    text(data) {
      if (skip === 0 && inText > 0) text += data;
    },
    close(name) {
      if (skip > 0) {
        skip -= 1;
        return;
      }
      if (name === "text:p") inText -= 1;
      else if (name === "table:table-cell" || name === "table:covered-table-cell") closeCell();
      else if (name === "table:table-row") rows.endRow(row);
    },
  };
}

function countOf(value: string | undefined): number {
  const count = Number(value ?? 1);
  return Number.isInteger(count) && count > 0 ? count : 1;
}

function dateOf(value: string | undefined): string | null {
  return value === undefined ? null : value.replace(/T00:00:00(\.0+)?$/, "").replace("T", " ");
}
