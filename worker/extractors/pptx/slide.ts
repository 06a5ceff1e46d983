// One slide (or its notes) as blocks, from XML events, in the order in which a screen reader goes through its shapes;
// only the title comes first wherever it stands. Date, footer and number of the slide are left out.
import type { Block } from "../cut-segments.ts";
import { createTableFolder } from "../fold-tables.ts";
import { createTextBodyReader, type TextParagraph } from "../office/text-body.ts";
import type { XmlAttributes, XmlEvents } from "../office/xml.ts";

/** Kinds of placeholder (ISO 29500-1, 19.7.10). */
const TITLES = new Set(["title", "ctrTitle"]);
const RUNNING = new Set(["dt", "ftr", "hdr", "sldNum", "sldImg"]);
const BODIES = new Set(["body", "obj"]);

type Shape = { kind: string | null; hidden: boolean; paragraphs: TextParagraph[] };

export type SlideContent = {
  readonly title: string | null;
  readonly blocks: readonly Block[];
  /** Relationships of diagrams and charts, which are parts of their own. */
  readonly graphics: readonly string[];
};

export function createSlideReader(only: "slide" | "notes"): XmlEvents & { readonly content: SlideContent } {
  const blocks: Block[] = [];
  const graphics: string[] = [];
  const folder = createTableFolder((block) => void blocks.push(block));
  const alternates: boolean[] = [];
  let title: string | null = null;
  let shape: Shape | null = null;
  let inTable = 0;
  let skip = 0;

  const body = createTextBodyReader((paragraph) => {
    if (inTable > 0) folder.put({ kind: "paragraph", text: paragraph.text });
    else shape?.paragraphs.push(paragraph);
  });
  const closeShape = (): void => {
    const done = shape;
    shape = null;
    if (done === null || done.hidden || done.paragraphs.length === 0) return;
    const { kind, paragraphs } = done;
    if (kind !== null && RUNNING.has(kind)) return;
    if (only === "notes" && kind !== "body") return;
    if (kind !== null && TITLES.has(kind) && title === null) {
      title = paragraphs.map(({ text }) => text.replace(/\s+/g, " ")).join(" ");
      return;
    }
    // The layout, which we do not read, gives most lists their bullets.
    const listed = kind !== null && BODIES.has(kind) && paragraphs.length > 1 && only === "slide";
    if (blocks.length > 0) blocks.push({ kind: "gap" });
    for (const paragraph of paragraphs) blocks.push(blockOf(paragraph, listed));
  };
  const openTablePart = (name: string, attributes: XmlAttributes): boolean => {
    if (name === "a:tbl") {
      inTable += 1;
      folder.openTable();
    } else if (name === "a:tr") folder.openRow();
    else if (name === "a:tc") {
      // A cell that a merged one covers is in the file, and empty.
      folder.openCell();
      if (/^(1|true)$/.test(attributes.hMerge ?? attributes.vMerge ?? "")) skip += 1;
    } else return false;
    return true;
  };
  const open = (name: string, attributes: XmlAttributes): void => {
    if (name === "p:sp" || name === "p:cxnSp") shape = { kind: null, hidden: false, paragraphs: [] };
    else if (name === "p:ph" && shape !== null) shape.kind = attributes.type ?? "obj";
    else if (name === "p:cNvPr" && /^(1|true)$/.test(attributes.hidden ?? "")) {
      if (shape !== null) shape.hidden = true;
    } else if (name === "dgm:relIds") graphics.push(attributes["r:dm"] ?? "");
    else if (name === "c:chart") graphics.push(attributes["r:id"] ?? "");
    else if (name === "mc:AlternateContent") alternates.push(false);
    else if (!openTablePart(name, attributes)) body.open(name, attributes);
  };
  const isSkipped = (name: string): boolean => {
    if (name === "mc:Fallback") return true;
    if (name !== "mc:Choice" || alternates.length === 0) return false;
    const taken = alternates.at(-1) === true;
    alternates[alternates.length - 1] = true;
    return taken;
  };

  return {
    get content() {
      return { title, blocks, graphics };
    },
    open(name, attributes) {
      if (skip > 0 || isSkipped(name)) skip += 1;
      else open(name, attributes);
    },
    text(text) {
      if (skip === 0) body.text(text);
    },
    close(name) {
      if (skip > 0) {
        skip -= 1;
        return;
      }
      if (name === "p:sp" || name === "p:cxnSp") closeShape();
      else if (name === "mc:AlternateContent") alternates.pop();
      else if (name === "a:tr") folder.closeRow();
      else if (name === "a:tbl") {
        inTable -= 1;
        folder.closeTable();
      } else body.close(name);
    },
  };
}

function blockOf({ text, label }: TextParagraph, listed: boolean): Block {
  const mark = label ?? (listed ? "-" : "");
  return mark === "" ? { kind: "paragraph", text } : { kind: "line", text: `${mark} ${text}` };
}
