// The body of a DOCX as blocks, from XML events. Read as a reader of the accepted document would see it: insertions
// in, deletions and moved-away text out, hidden text and comments out, results of fields and not their instructions.
// A text box is a story of its own inside of a paragraph, so open stories are a stack.
import { Failure } from "../../failure/failure.ts";
import type { Block } from "../cut-segments.ts";
import { createMathWriter } from "../office/math.ts";
import { attribute, type XmlAttributes, type XmlEvents } from "../office/xml.ts";
import type { DocxNumbering } from "./numbering.ts";
import type { PageCounter } from "./pages.ts";
import { blockOfParagraph, createParagraph, type Paragraph } from "./paragraph.ts";
import { createPropertyReader, PROPERTIES } from "./properties.ts";
import { createRowReader } from "./rows.ts";
import { createStory, type Story } from "./story.ts";
import type { DocxStyles } from "./styles.ts";
import { runText, symbolText } from "./symbols.ts";

/** Below these nothing is body text. */
const SKIPPED = new Set(
  (
    "w:instrText w:delText w:delInstrText w:rubyPr w:rt w:sectPr w:tblPr w:tblGrid w:sdtPr w:sdtEndPr w:customXmlPr " +
    "w:smartTagPr w:pPrChange w:rPrChange w:trPrChange w:tcPrChange w:tblPrChange w:tblPrExChange w:numberingChange " +
    "m:ctrlPr mc:Fallback"
  ).split(" "),
);
const STARTS_WITH_WORD = /^[\p{L}\p{N}]/u;
const ENDS_WITH_WORD = /[\p{L}\p{N}]$/u;
/** Boxes nested deeper hand their text to the same host: each level would copy all it holds. */
const MAX_STORIES = 32;
const TABLE_PARTS = new Set(["w:tbl", "w:tr", "w:tc"]);

export type DocxContext = {
  readonly styles: DocxStyles;
  readonly numbering: DocxNumbering;
  readonly notes: {
    readonly footnotes: ReadonlyMap<string, string>;
    readonly endnotes: ReadonlyMap<string, string>;
  };
  /** Null where Word left no marks. */
  readonly pages: PageCounter | null;
  /** UTF-16 units that may be read. */
  readonly maxChars: number;
};

export type BodyOutput = {
  block(block: Block): void;
  /** Another part of the package stands here, by its relationship. */
  part(relationId: string): void;
};

/** Throws `extract.too-large` above `maxChars`, before a paragraph of that length is put together. */
export function createBodyReader(context: DocxContext, output: BodyOutput): XmlEvents {
  const { styles, numbering, pages, maxChars } = context;
  const stories: Story[] = [createStory(true, output.block)];
  const alternates: boolean[] = [];
  const math = createMathWriter();
  const parts: string[] = [];
  let chars = 0;
  let skip = 0;
  let inText = 0;
  // SAFETY: the first story is never taken away.
  const story = (): Story => stories.at(-1) as Story;

  const write = (text: string): void => {
    const { paragraph, fields, runHidden, tables } = story();
    if (text === "" || paragraph === null || runHidden || !fields.shown) return;
    chars += text.length;
    if (chars > maxChars) throw new Failure("extract.too-large", { facts: { maxChars } });
    // Word leaves the space around an equation to its layout.
    if (story().afterMath && STARTS_WITH_WORD.test(text)) paragraph.text.push(" ");
    story().afterMath = false;
    paragraph.text.push(text);
    if (tables[0] !== undefined) tables[0].started = true;
  };
  const writeMath = (line: string | null): void => {
    if (line === null) return;
    const { paragraph } = story();
    if (ENDS_WITH_WORD.test(paragraph?.text.at(-1) ?? "")) paragraph?.text.push(" ");
    write(line);
    story().afterMath = true;
  };
  const turnPage = (count: number): void => {
    const block = pages?.advance(count) ?? null;
    if (block !== null) output.block(block);
  };
  const giveParts = (): void => {
    for (const id of parts.splice(0)) output.part(id);
  };
  const finish = (own: Story, paragraph: Paragraph): void => {
    const free = own.tables.length === 0;
    turnPage(paragraph.pagesBefore);
    const block = blockOfParagraph(paragraph, styles, numbering);
    if (block !== null) own.folder.put(block);
    for (const box of paragraph.boxes) own.folder.put(box);
    const keep = free ? own.folder.put : (note: Block) => void own.notes.push(note);
    for (const note of paragraph.notes) keep(note);
    turnPage(paragraph.pagesAfter);
    if (free && own.main) giveParts();
  };
  const closeParagraph = (): void => {
    const own = story();
    const { paragraph } = own;
    if (paragraph === null) return;
    own.paragraph = null;
    own.fields.endParagraph();
    if (paragraph.merges) own.carried = paragraph;
    else finish(own, paragraph);
  };
  const openParagraph = (): void => {
    closeParagraph();
    const own = story();
    own.paragraph = createParagraph(own.carried);
    own.carried = null;
    own.styleHidden = false;
    own.runHidden = false;
  };
  const endStory = (): void => {
    closeParagraph();
    const own = story();
    if (own.carried !== null) finish(own, own.carried);
    own.carried = null;
  };
  const openStory = (): void => {
    const host = story();
    const emit = (block: Block): void =>
      host.paragraph === null ? host.folder.put(block) : void host.paragraph.boxes.push(block);
    stories.push(createStory(false, stories.length > MAX_STORIES ? host.emit : emit));
  };
  const closeStory = (): void => {
    if (stories.length === 1) return;
    endStory();
    stories.pop();
  };
  const openRun = (): void => {
    const own = story();
    own.runHidden = own.styleHidden;
    own.runFont = null;
  };
  const endPage = (): void => {
    const { main, paragraph, tables } = story();
    if (pages === null || !main || paragraph === null) return;
    if (tables[0] !== undefined) pages.endInRow(tables[0].started);
    else if (paragraph.text.length === 0) paragraph.pagesBefore += 1;
    else paragraph.pagesAfter += 1;
  };
  const refer = (texts: ReadonlyMap<string, string>, attributes: XmlAttributes): void => {
    const { paragraph, runHidden, fields } = story();
    const text = texts.get(attribute(attributes, "id") ?? "");
    if (text !== undefined && !runHidden && fields.shown) paragraph?.notes.push({ kind: "paragraph", text });
  };
  const left = (notes: readonly Block[]): void => {
    for (const note of notes) story().folder.put(note);
    giveParts();
  };
  const properties = createPropertyReader(story, styles);
  const rows = createRowReader({ story, closeParagraph, turnPage, left, pages });

  const contents: ReadonlyMap<string, (attributes: XmlAttributes) => void> = new Map([
    ["w:r", openRun],
    ["w:p", openParagraph],
    ["w:txbxContent", openStory],
    ["w:tab", () => write("\t")],
    ["w:ptab", () => write("\t")],
    ["w:br", () => write("\n")],
    ["w:cr", () => write("\n")],
    ["w:noBreakHyphen", () => write("-")],
    ["w:sym", (given: XmlAttributes) => write(symbolOf(given))],
    ["w:lastRenderedPageBreak", endPage],
    ["w:footnoteReference", (given: XmlAttributes) => refer(context.notes.footnotes, given)],
    ["w:endnoteReference", (given: XmlAttributes) => refer(context.notes.endnotes, given)],
    ["w:altChunk", (given: XmlAttributes) => void parts.push(given["r:id"] ?? "")],
    ["dgm:relIds", (given: XmlAttributes) => void parts.push(given["r:dm"] ?? "")],
    ["c:chart", (given: XmlAttributes) => void parts.push(given["r:id"] ?? "")],
  ]);
  const openContent = (name: string, attributes: XmlAttributes): void => {
    const content = contents.get(name);
    if (content !== undefined) content(attributes);
    else if (TABLE_PARTS.has(name)) rows.open(name);
    else write(story().fields.open(name, attributes));
  };
  /** Whether an element and all in it are to be passed over. */
  const isSkipped = (name: string): boolean => {
    if (SKIPPED.has(name)) return true;
    if (name === "w:del" || name === "w:moveFrom") return !properties.inside;
    if (name === "w:tc") return story().tables.at(-1)?.rowDeleted === true;
    if (name === "w:p" || name === "w:tbl") return story().tables.at(-1)?.cellDeleted === true;
    if (name !== "mc:Choice" || alternates.length === 0) return false;
    const taken = alternates.at(-1) === true;
    alternates[alternates.length - 1] = true;
    return taken;
  };

  return {
    open(name, attributes) {
      if (skip > 0 || isSkipped(name)) skip += 1;
      else if (properties.inside || PROPERTIES.has(name)) properties.open(name, attributes);
      else if (name === "w:t" || name === "m:t") inText += 1;
      else if (name === "mc:AlternateContent") alternates.push(false);
      else if (math.active) math.open(name, attributes);
      else if (name === "m:oMath") {
        openRun();
        math.open(name, attributes);
      } else openContent(name, attributes);
    },
    text(text) {
      if (skip > 0 || inText === 0) return;
      if (math.active) math.text(text);
      else write(runText(story().runFont, text));
    },
    close(name) {
      if (skip > 0) skip -= 1;
      else if (properties.inside) properties.close(name);
      else if (name === "w:t" || name === "m:t") inText -= 1;
      else if (name === "mc:AlternateContent") alternates.pop();
      else if (math.active) writeMath(math.close(name));
      else if (name === "w:p") closeParagraph();
      else if (TABLE_PARTS.has(name)) rows.close(name);
      else if (name === "w:txbxContent") closeStory();
      else if (name === "w:altChunk" && story().tables.length === 0) giveParts();
      else if (name === "w:body" || name === "w:footnote" || name === "w:endnote") endStory();
    },
  };
}

function symbolOf(attributes: XmlAttributes): string {
  return symbolText(attribute(attributes, "font"), Number.parseInt(attribute(attributes, "char") ?? "", 16));
}
