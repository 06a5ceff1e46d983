// What all sheets of a workbook share: their names and order, the texts of cells, the formats of numbers.
import { Failure } from "../../failure/failure.ts";
import type { Relationship } from "../office/package.ts";
import type { XmlEvents } from "../office/xml.ts";
import { createNumberFormat, type NumberFormat } from "./numbers.ts";

export type Sheet = { readonly name: string; readonly part: string };

/** Sheets in the order of their tabs. `hidden`: how many were hidden and are left out. */
export type Workbook = { readonly sheets: Sheet[]; readonly hidden: number; readonly since1904: boolean };

export function createWorkbookReader(
  related: readonly Relationship[],
): XmlEvents & { readonly workbook: Workbook } {
  const sheets: Sheet[] = [];
  // Sheets of one chart or one dialog hold no cells.
  const cells = related.filter(({ kind }) => kind === "worksheet");
  const parts = new Map(cells.map(({ id, part }) => [id, part]));
  let hidden = 0;
  let since1904 = false;
  return {
    get workbook() {
      return { sheets, hidden, since1904 };
    },
    open(name, attributes) {
      if (name === "x:workbookPr") since1904 = /^(1|true)$/.test(attributes.date1904 ?? "");
      if (name !== "x:sheet") return;
      const part = parts.get(attributes["r:id"] ?? "");
      if (part === undefined) return;
      if (/^(hidden|veryHidden)$/.test(attributes.state ?? "")) hidden += 1;
      else sheets.push({ name: attributes.name ?? "", part });
    },
    close() {},
    text() {},
  };
}

/** The texts that cells refer to by number. Throws `extract.too-large` above `maxChars`: all of them are held. */
export function createSharedTextReader(maxChars: number): XmlEvents & { readonly texts: readonly string[] } {
  const texts: string[] = [];
  const rich = createRichTextReader();
  let chars = 0;
  return {
    texts,
    open: (name) => rich.open(name),
    text: (text) => rich.text(text),
    close(name) {
      rich.close(name);
      if (name !== "x:si") return;
      const text = rich.take();
      chars += text.length + 1;
      if (chars > maxChars) throw new Failure("extract.too-large", { facts: { maxChars } });
      texts.push(text);
    },
  };
}

/** Text in runs; readings of Japanese words (`x:rPh`) stand beside it and are not part of it. */
export function createRichTextReader() {
  let text = "";
  let inText = false;
  let aside = 0;
  return {
    open(name: string): void {
      if (name === "x:rPh" || aside > 0) aside += 1;
      else if (name === "x:t") inText = true;
    },
    text(data: string): void {
      if (inText && aside === 0) text += data;
    },
    close(name: string): void {
      if (aside > 0) aside -= 1;
      else if (name === "x:t") inText = false;
    },
    take(): string {
      const taken = text;
      text = "";
      return taken;
    },
  };
}

/** The format of each cell style, by its number. */
export function createFormatReader(
  since1904: boolean,
): XmlEvents & { formatOf(style: number): NumberFormat } {
  const codes = new Map<number, string>();
  const ids: number[] = [];
  const formats = new Map<number, NumberFormat>();
  let inCells = false;
  return {
    open(name, attributes) {
      if (name === "x:cellXfs") inCells = true;
      else if (name === "x:numFmt")
        codes.set(Number(attributes.numFmtId), attributes.formatCode ?? "General");
      else if (name === "x:xf" && inCells) ids.push(Number(attributes.numFmtId ?? 0));
    },
    close(name) {
      if (name === "x:cellXfs") inCells = false;
    },
    text() {},
    formatOf(style) {
      const id = ids[style] ?? 0;
      const known = formats.get(id) ?? createNumberFormat(id, codes.get(id) ?? null, since1904);
      formats.set(id, known);
      return known;
    },
  };
}
