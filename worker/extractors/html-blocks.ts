// HTML events to blocks: paragraphs, list items, table rows, headings, code. Nothing recursive: the parser's
// stack is an array, so 20,000 nested elements are a matter of memory only.
// Which elements to leave out is the caller's decision (whole pages have boilerplate, Markdown has none).
import { Parser } from "htmlparser2";
import { Failure } from "../failure/failure.ts";
import type { Block } from "./cut-segments.ts";
import { createTableFolder } from "./fold-tables.ts";

/** The parser's own stack costs time with the square of the depth. */
const MAX_DEPTH = 40_000;

const NEVER_TEXT = new Set(
  (
    "script style noscript template head title svg iframe object embed canvas audio video select option datalist " +
    "textarea button meter progress map rp"
  ).split(" "),
);
const BLOCK = new Set(
  (
    "address article aside blockquote body caption center dd details dialog dir div dl dt fieldset figcaption figure " +
    "footer form frameset header hgroup hr html legend li main menu nav ol p pre search section summary table tbody " +
    "td tfoot th thead tr ul"
  ).split(" "),
);

export type HtmlElement = {
  /** Opened elements are numbered from 0 in document order. */
  readonly index: number;
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
};

export type HtmlBlocks = {
  write(html: string): void;
  end(): void;
};

/**
 * Feeds blocks to `emit` as they close. `skips` is asked once for each element, in document order, except
 * below skipped ones.
 */
export function createHtmlBlocks(
  emit: (block: Block) => void,
  skips: (element: HtmlElement) => boolean = () => false,
): HtmlBlocks {
  const folder = createTableFolder(emit);
  const open: string[] = [];
  let index = -1;
  let skippedFrom = -1;
  let preformatted = 0;
  let items = 0;
  let heading = 0;
  let itemStarts = false;
  let text: string[] = [];

  const flush = (): void => {
    const written = preformatted > 0 ? text.join("").replace(/^\n+|\s+$/g, "") : collapse(text.join(""));
    text = [];
    if (written === "") return;
    if (heading > 0) folder.put({ kind: "heading", level: heading, text: written.replace(/\s*\n\s*/g, " ") });
    else if (items > 0) folder.put({ kind: "line", text: itemStarts ? `- ${written}` : written });
    else folder.put({ kind: "paragraph", text: written });
    itemStarts = false;
  };
  const enter = (name: string): void => {
    if (name === "br") return void text.push("\n");
    if (isHeading(name)) {
      flush();
      heading = Number(name[1]);
    } else if (BLOCK.has(name)) flush();
    if (name === "li") itemStarts = true;
    if (isListPart(name)) items += 1;
    if (name === "pre") preformatted += 1;
    if (name === "table") folder.openTable();
    if (name === "tr") folder.openRow();
    if (name === "td" || name === "th") folder.openCell();
  };
  const leave = (name: string): void => {
    if (isHeading(name)) {
      flush();
      heading = 0;
    } else if (BLOCK.has(name)) flush();
    if (isListPart(name)) items -= 1;
    if (name === "pre") preformatted -= 1;
    if (name === "table") folder.closeTable();
    if (name === "tr") folder.closeRow();
  };

  const parser = new Parser({
    onopentag(name, attributes) {
      index += 1;
      open.push(name);
      if (open.length > MAX_DEPTH) throw new Failure("extract.too-large", { facts: { depth: open.length } });
      if (skippedFrom >= 0) return;
      if (NEVER_TEXT.has(name) || skips({ index, name, attributes })) {
        if (BLOCK.has(name)) flush();
        skippedFrom = open.length - 1;
        return;
      }
      enter(name);
    },
    ontext(data) {
      if (skippedFrom < 0) text.push(preformatted > 0 ? data : data.replace(/\s+/g, " "));
    },
    onclosetag(name) {
      open.pop();
      if (skippedFrom >= 0) {
        if (open.length <= skippedFrom) skippedFrom = -1;
        return;
      }
      leave(name);
    },
  });
  return {
    write: (html) => parser.write(html),
    end() {
      parser.end();
      flush();
    },
  };
}

function isHeading(name: string): boolean {
  return /^h[1-6]$/.test(name);
}

function isListPart(name: string): boolean {
  return name === "li" || name === "dt" || name === "dd";
}

function collapse(text: string): string {
  return text
    .replace(/[^\S\n]+/g, " ")
    .replace(/ ?\n ?/g, "\n")
    .replace(/\n{3,}/g, "\n\n")
    .trim();
}
