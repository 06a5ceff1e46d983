// The body of a DOCX as blocks, from XML events. Read as a reader of the accepted document would see it:
// insertions in, deletions and moved-away text out, hidden text and comments out, each text box once.
// A text box stands inside a paragraph, so open paragraphs are a stack.
import type { Block } from "./cut-segments.ts";
import type { DocxStyles } from "./docx-styles.ts";
import { createTableFolder } from "./fold-tables.ts";
import { attribute, isOn, type XmlEvents } from "./office-xml.ts";

/** Below these nothing is body text. */
const SKIPPED = new Set([
  "w:del",
  "w:moveFrom",
  "w:instrText",
  "w:delText",
  "w:delInstrText",
  "w:rubyPr",
  "w:sectPr",
  "w:tblPr",
  "w:sdtPr",
  "mc:Fallback",
]);

type Paragraph = {
  text: string[];
  level: number | null;
  listItem: boolean;
  hidden: boolean;
  /** Its mark was deleted: it runs on into the next paragraph. */
  merges: boolean;
  /** Notes that it refers to, and boxes anchored in it: they follow it. */
  after: Block[];
};

export type NoteTexts = {
  readonly footnotes: ReadonlyMap<string, string>;
  readonly endnotes: ReadonlyMap<string, string>;
};

export function createBodyReader(
  styles: DocxStyles,
  notes: NoteTexts,
  emit: (block: Block) => void,
): XmlEvents {
  const folder = createTableFolder(emit);
  const open: Paragraph[] = [];
  let carried: Paragraph | null = null;
  let skip = 0;
  let inText = 0;
  let inRunProperties = 0;
  let inParagraphProperties = 0;
  let runHidden = false;

  const write = (text: string): void => {
    const paragraph = open.at(-1);
    if (paragraph !== undefined && !runHidden && inParagraphProperties === 0) paragraph.text.push(text);
  };
  const openParagraph = (): void => {
    const fresh = { text: [], level: null, listItem: false, hidden: false, merges: false, after: [] };
    const paragraph: Paragraph =
      open.length === 0 && carried !== null ? { ...carried, merges: false } : fresh;
    if (open.length === 0) carried = null;
    open.push(paragraph);
    runHidden = false;
  };
  const closeParagraph = (): void => {
    const paragraph = open.pop();
    runHidden = false;
    if (paragraph === undefined) return;
    const host = open.at(-1);
    if (host === undefined && paragraph.merges) {
      carried = paragraph;
      return;
    }
    const put = host === undefined ? folder.put : (block: Block) => void host.after.push(block);
    for (const block of [...blockOf(paragraph), ...paragraph.after]) put(block);
  };
  const note = (texts: ReadonlyMap<string, string>, id: string | null): void => {
    const text = texts.get(id ?? "");
    if (text !== undefined && !runHidden) open.at(-1)?.after.push({ kind: "paragraph", text });
  };
  const openProperty = (name: string, attributes: Readonly<Record<string, string>>): void => {
    const paragraph = open.at(-1);
    const value = attribute(attributes, "val") ?? "";
    if (paragraph === undefined) return;
    if (inRunProperties > 0 && inParagraphProperties === 0) {
      if (name === "w:vanish") runHidden = isOn(attributes);
      else if (name === "w:rStyle" && styles.isHidden(value)) runHidden = true;
    } else if (inParagraphProperties > 0) {
      if (name === "w:pStyle") applyStyle(paragraph, styles, value);
      else if (name === "w:outlineLvl" && Number(value) < 9) paragraph.level = Number(value) + 1;
      else if (name === "w:numId") paragraph.listItem = value !== "0";
      else if (inRunProperties > 0 && (name === "w:del" || name === "w:moveFrom")) paragraph.merges = true;
    }
  };
  const openContent = (name: string, attributes: Readonly<Record<string, string>>): void => {
    if (name === "w:p") openParagraph();
    else if (name === "w:r") runHidden = false;
    else if (name === "w:tbl" && open.length === 0) folder.openTable();
    else if (name === "w:tr" && open.length === 0) folder.openRow();
    else if (name === "w:tc" && open.length === 0) folder.openCell();
    else if (name === "w:t" || name === "m:t") inText += 1;
    else if (name === "w:tab" || name === "w:ptab") write("\t");
    else if (name === "w:br" || name === "w:cr") write("\n");
    else if (name === "w:noBreakHyphen") write("-");
    else if (name === "w:sym") write(symbolOf(attributes));
    else if (name === "w:footnoteReference") note(notes.footnotes, attribute(attributes, "id"));
    else if (name === "w:endnoteReference") note(notes.endnotes, attribute(attributes, "id"));
  };

  return {
    open(name, attributes) {
      if (skip > 0 || (SKIPPED.has(name) && inParagraphProperties === 0)) {
        skip += 1;
        return;
      }
      if (name === "w:pPr") inParagraphProperties += 1;
      else if (name === "w:rPr") inRunProperties += 1;
      else if (inParagraphProperties > 0 || inRunProperties > 0) openProperty(name, attributes);
      else openContent(name, attributes);
    },
    text(text) {
      if (skip === 0 && inText > 0) write(text);
    },
    close(name) {
      if (skip > 0) {
        skip -= 1;
        return;
      }
      if (name === "w:pPr") inParagraphProperties -= 1;
      else if (name === "w:rPr") inRunProperties -= 1;
      else if (name === "w:p") closeParagraph();
      else if (name === "w:t" || name === "m:t") inText -= 1;
      else if (name === "w:tbl" && open.length === 0) folder.closeTable();
      else if (name === "w:tr" && open.length === 0) folder.closeRow();
      else if (name === "w:body" && carried !== null) for (const block of blockOf(carried)) folder.put(block);
    },
  };
}

function applyStyle(paragraph: Paragraph, styles: DocxStyles, id: string): void {
  paragraph.level = styles.headingLevel(id);
  paragraph.listItem = styles.isListItem(id);
  paragraph.hidden = styles.isHidden(id);
}

function blockOf(paragraph: Paragraph): readonly Block[] {
  const text = paragraph.text
    .join("")
    .replace(/[^\S\n]+/g, " ")
    .trim();
  if (text === "" || paragraph.hidden) return [];
  if (paragraph.level !== null)
    return [{ kind: "heading", level: paragraph.level, text: text.replace(/\s+/g, " ") }];
  return [paragraph.listItem ? { kind: "line", text: `- ${text}` } : { kind: "paragraph", text }];
}

/** Symbol fonts hide their characters in the private use area, where they mean nothing to a reader. */
function symbolOf(attributes: Readonly<Record<string, string>>): string {
  const code = Number.parseInt(attribute(attributes, "char") ?? "", 16);
  return Number.isNaN(code) || (code >= 0xe000 && code <= 0xf8ff) || code > 0xffff
    ? ""
    : String.fromCharCode(code);
}

/** Texts of footnotes or endnotes by id; separators are left out. */
export function createNoteReader(
  styles: DocxStyles,
): XmlEvents & { readonly texts: ReadonlyMap<string, string> } {
  const texts = new Map<string, string>();
  let id: string | null = null;
  let parts: string[] = [];
  const body = createBodyReader(styles, { footnotes: new Map(), endnotes: new Map() }, (block) => {
    if (block.kind !== "page") parts.push(block.text);
  });
  return {
    texts,
    open(name, attributes) {
      if (name === "w:footnote" || name === "w:endnote")
        id = attribute(attributes, "type") === null ? attribute(attributes, "id") : null;
      else body.open(name, attributes);
    },
    text: body.text,
    close(name) {
      if (name !== "w:footnote" && name !== "w:endnote") return body.close(name);
      if (id !== null && parts.length > 0) texts.set(id, parts.join("\n"));
      parts = [];
    },
  };
}
