// Puts an HTML page's blocks together: paragraphs, headings, list items, table rows, code. It is told only of
// elements whose text is kept, and holds one open block and one open table row.
import type { Block } from "../cut-segments.ts";
import { createTableFolder } from "../fold-tables.ts";
import { BLOCK, headingLevel, PREFORMATTED } from "./elements.ts";
import { createTableGrid } from "./table-grid.ts";

/** Deeper lists are not indented further. */
const MAX_INDENT = 8;

type List = { readonly ordered: boolean; next: number };
type Attributes = Readonly<Record<string, string>>;

export type HtmlWriter = {
  enter(name: string, attributes: Attributes): void;
  leave(name: string): void;
  /** An element that is left out stood here. */
  gap(name: string): void;
  text(text: string): void;
  /** A formula or another piece that is not to be changed. */
  piece(text: string): void;
  end(): void;
  /** Whether a heading is open. */
  readonly inHeading: boolean;
  readonly inCode: boolean;
};

export function createHtmlWriter(emit: (block: Block) => void): HtmlWriter {
  const folder = createTableFolder(emit);
  const grid = createTableGrid(folder);
  const lists: List[] = [];
  /** Levels of the open headings: a heading that was never closed ends with the next one. */
  const headings: { readonly name: string; readonly level: number }[] = [];
  let text: string[] = [];
  let preformatted = 0;
  let items = 0;
  let marker: string | null = null;

  const flush = (): void => {
    const written = preformatted > 0 ? tidyCode(text.join("")) : collapse(text.join(""));
    text = [];
    if (written === "") return;
    const level = headings.at(-1)?.level ?? 0;
    if (level > 0) folder.put({ kind: "heading", level, text: written.replace(/\s*\n\s*/g, " ") });
    else if (items > 0) folder.put({ kind: "line", text: `${marker ?? ""}${written}` });
    else folder.put({ kind: "paragraph", text: written });
    marker = null;
  };
  /** Inside of code a block's border is the end of a line: highlighters wrap lines in elements. */
  const breakBlock = (): void => {
    if (preformatted === 0) flush();
    else if (text.length > 0 && !text.at(-1)?.endsWith("\n")) text.push("\n");
  };
  const startItem = (attributes: Attributes): void => {
    const list = lists.at(-1);
    if (list?.ordered && /^\d{1,6}$/.test(attributes.value ?? "")) list.next = Number(attributes.value);
    const indent = "  ".repeat(Math.min(Math.max(lists.length, 1), MAX_INDENT) - 1);
    marker = list?.ordered ? `${indent}${list.next}. ` : `${indent}- `;
    if (list !== undefined) list.next += 1;
  };

  return {
    enter(name, attributes) {
      const level = headingLevel(name, attributes);
      if (name === "br") return void text.push("\n");
      if (BLOCK.has(name) || level > 0) breakBlock();
      if (level > 0) headings.push({ name, level });
      if (PREFORMATTED.has(name)) preformatted += 1;
      if (preformatted > 0) return;
      if (name === "q") text.push('"');
      if (name === "ul" || name === "ol" || name === "menu")
        lists.push({ ordered: name === "ol", next: startOf(attributes) });
      if (name === "li") startItem(attributes);
      if (isListPart(name)) items += 1;
      grid.enter(name, attributes);
    },
    leave(name) {
      const heading = headings.at(-1);
      if (BLOCK.has(name) || heading?.name === name) breakBlock();
      if (heading?.name === name) headings.pop();
      if (PREFORMATTED.has(name)) {
        flush();
        preformatted -= 1;
        return;
      }
      if (preformatted > 0) return;
      if (name === "q") text.push('"');
      if (name === "ul" || name === "ol" || name === "menu") lists.pop();
      if (isListPart(name)) {
        items -= 1;
        marker = null;
      }
      grid.leave(name);
    },
    gap(name) {
      if (BLOCK.has(name)) breakBlock();
    },
    text: (data) => void text.push(preformatted > 0 ? data : data.replace(/\s+/g, " ")),
    piece: (data) => void text.push(data),
    end: flush,
    get inHeading() {
      return headings.length > 0;
    },
    get inCode() {
      return preformatted > 0;
    },
  };
}

function startOf(attributes: Attributes): number {
  return /^\d{1,6}$/.test(attributes.start ?? "") ? Number(attributes.start) : 1;
}

function isListPart(name: string): boolean {
  return name === "li" || name === "dt" || name === "dd";
}

// Control characters, soft hyphens and marks that only say where a line may end. The zero-width space stays where
// it stands between words: in the scripts of South-East Asia.
const INVISIBLE =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is to go
  /[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u2060\ufeff]|\u200b(?![\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff])/g;

function collapse(text: string): string {
  return text
    .replace(INVISIBLE, "")
    .replace(/[^\S\n]+/g, " ")
    .replace(/ ?\n ?/g, "\n")
    .replace(/\n{3,}/g, "\n\n")
    .trim();
}

function tidyCode(text: string): string {
  return text
    .replace(INVISIBLE, "")
    .replace(/\u00a0/g, " ")
    .replace(/^(?:[^\S\n]*\n)+|\s+$/g, "");
}
