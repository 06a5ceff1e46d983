// The body of an OpenDocument text or presentation as blocks, from XML events. Deletions that were recorded, comments,
// hidden text and templates of indexes are left out; a note follows the paragraph that refers to it, and so does what
// stands in a frame.
import { Failure } from "../../failure/failure.ts";
import type { Block } from "../cut-segments.ts";
import { createTableFolder, type TableFolder } from "../fold-tables.ts";
import type { XmlAttributes, XmlEvents } from "../office/xml.ts";
import { tidyText } from "../tidy-text.ts";
import { createNumbering, type Numbering, type OdfStyles, OUTLINE } from "./styles.ts";

const SKIPPED = new Set(
  (
    "text:tracked-changes office:annotation text:note-citation text:ruby-text office:forms svg:title svg:desc " +
    "text:number text:hidden-text office:event-listeners office:binary-data office:scripts office:settings"
  ).split(" "),
);
/** What the layout draws on every slide, or a picture of the slide among its notes. */
const RUNNING = new Set(["date-time", "footer", "header", "page-number", "page"]);

/** Frames nested deeper hand their text to the same host: each level would copy all it holds. */
const MAX_STORIES = 32;

type Paragraph = { text: string[]; level: number | null; label: string | null; aside: Block[] };
type List = {
  readonly style: string | null;
  label: { value: number | undefined } | null;
};
/** A line of text of its own: the body, a frame, a note. `depth`: the element that ends it. */
type Story = {
  readonly depth: number;
  readonly emit: (block: Block) => void;
  readonly folder: TableFolder;
  readonly lists: List[];
  readonly numbering: Numbering;
  lastList: string | null;
  paragraph: Paragraph | null;
  /** The frame holds a slide's title. */
  titled: boolean;
  tables: number;
  aside: Block[];
};

export function createOdfBody(styles: OdfStyles, maxChars: number, emit: (block: Block) => void): XmlEvents {
  const stories: Story[] = [createStory(0, emit)];
  const headings = createNumbering();
  let depth = 0;
  let skip = 0;
  let chars = 0;
  let index = 0;
  let slide = 0;
  // SAFETY: the first story is never taken away.
  const story = (): Story => stories.at(-1) as Story;

  const write = (text: string): void => {
    const { paragraph } = story();
    if (paragraph === null) return;
    chars += text.length;
    if (chars > maxChars) throw new Failure("extract.too-large", { facts: { maxChars } });
    paragraph.text.push(text);
  };
  const labelOf = (own: Story): string | null => {
    const list = own.lists.at(-1);
    if (list?.label == null) return null;
    const { value } = list.label;
    // Only the first paragraph of an item has the number.
    list.label = null;
    const name = own.lists.findLast((each) => each.style !== null)?.style ?? null;
    return own.numbering.next(styles.list(name), own.lists.length, value);
  };
  const openParagraph = (name: string, attributes: XmlAttributes): void => {
    const own = story();
    if (own.paragraph !== null) closeParagraph();
    const level = own.titled
      ? 1
      : name === "text:h"
        ? levelOf(attributes)
        : styles.headingLevel(attributes["text:style-name"]);
    const listed = styles.isUnnumbered(attributes["text:style-name"]) ? null : labelOf(own);
    const outlined = name === "text:h" && listed === null && attributes["text:is-list-header"] !== "true";
    const label = outlined ? headings.next(styles.list(OUTLINE), level ?? 1) : listed;
    // Impress wraps the text of each cell in a list without a sign.
    const silent = label === "-" && own.tables > 0 && slide > 0;
    own.paragraph = { text: [], level, label: silent ? null : label, aside: [] };
  };
  const closeParagraph = (): void => {
    const own = story();
    const { paragraph } = own;
    own.paragraph = null;
    if (paragraph === null) return;
    const block = blockOf(paragraph, index > 0 || own.lists.length > 0);
    if (block !== null) own.folder.put(block);
    const keep = own.tables > 0 ? (each: Block) => void own.aside.push(each) : own.folder.put;
    for (const each of paragraph.aside) keep(each);
  };
  const openStory = (): void => {
    const host = story();
    const { paragraph } = host;
    const own = (block: Block): void =>
      paragraph === null ? host.folder.put(block) : void paragraph.aside.push(block);
    stories.push(createStory(depth, stories.length > MAX_STORIES ? host.emit : own));
  };
  const openTablePart = (name: string, attributes: XmlAttributes): void => {
    const own = story();
    if (name === "table:table") {
      own.folder.openTable();
      own.tables += 1;
    } else if (name === "table:table-row") own.folder.openRow();
    else if (name === "table:table-cell" || name === "table:covered-table-cell") {
      own.folder.openCell();
      own.folder.spanCell(Number(attributes["table:number-columns-repeated"] ?? 1));
    }
  };
  const closeTablePart = (name: string): void => {
    const own = story();
    if (own.tables === 0) return;
    if (name === "table:table-row") own.folder.closeRow();
    if (name !== "table:table") return;
    own.folder.closeTable();
    own.tables -= 1;
    if (own.tables === 0) for (const block of own.aside.splice(0)) own.folder.put(block);
  };
  const openSlide = (): void => {
    slide += 1;
    emit({ kind: "page", page: slide });
    emit({ kind: "section", level: 1, text: `Slide ${slide}` });
  };
  const openNotes = (): void => {
    let marked = false;
    const { folder } = story();
    folder.put({ kind: "section", level: 2, text: "Notes" });
    stories.push(
      createStory(depth, (block) => {
        // The mark stands in the text too: a reader of one chunk has to know that the audience did not see it.
        if (marked || !("text" in block)) return folder.put(block);
        marked = true;
        folder.put({ kind: "paragraph", text: `Notes: ${block.text}` });
      }),
    );
  };
  const openContent = (name: string, attributes: XmlAttributes): void => {
    const own = story();
    if (name === "text:p" || name === "text:h") openParagraph(name, attributes);
    else if (name === "text:s") write(" ");
    else if (name === "text:tab") write("\t");
    else if (name === "text:line-break") write("\n");
    else if (name === "text:list") {
      const outermost = own.lists.length === 0;
      const style = attributes["text:style-name"] ?? null;
      // On slides each item is a list of its own, and the numbers go on in its shape.
      const goesOn =
        slide > 0
          ? style === own.lastList
          : attributes["text:continue-numbering"] === "true" ||
            attributes["text:continue-list"] !== undefined;
      if (outermost && !goesOn) own.numbering.reset();
      if (outermost) own.lastList = style;
      own.lists.push({ style, label: null });
    } else if (name === "text:list-item") {
      const list = own.lists.at(-1);
      const value = Number(attributes["text:start-value"] ?? Number.NaN);
      if (list !== undefined) list.label = { value: Number.isInteger(value) ? value : undefined };
    } else if (name.startsWith("table:")) openTablePart(name, attributes);
    else if (name === "text:index-body") index += 1;
    else if (name === "draw:page") openSlide();
    else if (name === "presentation:notes") openNotes();
    else if (name === "text:note-body") openStory();
    else if (name.startsWith("draw:")) {
      const titled = own.titled || (slide > 0 && attributes["presentation:class"] === "title");
      if (own.paragraph !== null || own.tables > 0 || slide > 0) openStory();
      story().titled = titled;
    }
  };
  const isSkipped = (name: string, attributes: XmlAttributes): boolean =>
    SKIPPED.has(name) ||
    name.endsWith("-source") ||
    RUNNING.has(attributes["presentation:class"] ?? "") ||
    attributes["text:display"] === "none" ||
    (name === "text:hidden-paragraph" && attributes["text:is-hidden"] === "true") ||
    styles.isHidden(attributes["text:style-name"] ?? attributes["table:style-name"]);

  return {
    open(name, attributes) {
      depth += 1;
      if (skip > 0 || isSkipped(name, attributes)) skip += 1;
      else openContent(name, attributes);
    },
    text(text) {
      if (skip === 0) write(text);
    },
    close(name) {
      depth -= 1;
      if (skip > 0) {
        skip -= 1;
        return;
      }
      if (name === "text:p" || name === "text:h") closeParagraph();
      else if (name === "text:list") story().lists.pop();
      else if (name === "text:index-body") index -= 1;
      else if (name.startsWith("table:")) closeTablePart(name);
      while (stories.length > 1 && story().depth > depth) {
        closeParagraph();
        stories.pop();
      }
    },
  };
}

function createStory(depth: number, emit: (block: Block) => void): Story {
  return {
    depth,
    emit,
    folder: createTableFolder(emit),
    lists: [],
    lastList: null,
    numbering: createNumbering(),
    paragraph: null,
    titled: false,
    tables: 0,
    aside: [],
  };
}

function levelOf(attributes: XmlAttributes): number {
  const level = Number(attributes["text:outline-level"] ?? 1);
  return Number.isInteger(level) && level >= 1 && level <= 9 ? level : 1;
}

function blockOf({ text, level, label }: Paragraph, listed: boolean): Block | null {
  const written = tidyText(text.join(""));
  if (written === "") return null;
  const marked = label === null || label === "" ? written : `${label} ${written}`;
  if (level !== null)
    return { kind: "heading", level, text: (label === "-" ? written : marked).replace(/\s+/g, " ") };
  return { kind: listed ? "line" : "paragraph", text: marked };
}
