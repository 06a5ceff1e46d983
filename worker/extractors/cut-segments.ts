// Blocks of a document (headings, paragraphs, rows, page breaks) to segments, without holding the document.
// Segments join with nothing between them, so the break between two blocks is written at the end of the
// earlier one; that is why one block is always held back until its neighbour is known.
import { sanitise } from "../document/sanitise.ts";
import { SECTION_SEPARATOR, type Segment } from "../document/segment.ts";
import { Failure } from "../failure/failure.ts";

/** UTF-16 units. A segment is a place to cite, not a chunk: about three printed pages at most. */
export const MAX_SEGMENT_CHARS = 8_000;
/** Longer headings are cut in the path (never in the text): a path is a label that is repeated in many rows. */
const MAX_HEADING_CHARS = 200;

export type Block =
  /** Level 0 is the document's own title, 1 to 9 its headings. */
  | { readonly kind: "heading"; readonly level: number; readonly text: string }
  /** A paragraph; set apart by blank lines. */
  | { readonly kind: "paragraph"; readonly text: string }
  /** A list item or table row; neighbours stand on lines of their own without a blank line between. */
  | { readonly kind: "line"; readonly text: string }
  /** What follows is set apart, such as one table from the next. */
  | { readonly kind: "gap" }
  | { readonly kind: "page"; readonly page: number }
  /** A heading that is known but not part of the text, such as a bookmark. */
  | { readonly kind: "section"; readonly level: number; readonly text: string };

export type SegmentCutter = {
  /** Gives the segments that are complete now. Throws `extract.too-large` above the character limit. */
  add(block: Block): Segment[];
  /** Gives what is left; call once. */
  end(): Segment[];
  /** Segments given so far. */
  readonly count: number;
};

export function createSegmentCutter(maxChars: number): SegmentCutter {
  const path: { level: number; text: string }[] = [];
  const keepSegment = createSegmentCounter(maxChars);
  let page: number | null = null;
  let section: string | null = null;
  let parts: string[] = [];
  let length = 0;
  let last: "none" | "paragraph" | "line" = "none";

  const flush = (): Segment[] => {
    const text = parts.join("");
    parts = [];
    length = 0;
    if (text.trim() === "") return [];
    return cutLongText(text).flatMap(
      (content) => keepSegment.take({ content, pageNumber: page, section }) ?? [],
    );
  };
  const breakBefore = (next: "paragraph" | "line"): void => {
    if (last === "none") return;
    const gap = last === "line" && next === "line" ? "\n" : "\n\n";
    parts.push(gap);
    length += gap.length;
  };
  const write = (text: string, kind: "paragraph" | "line"): Segment[] => {
    if (text.trim() === "") return [];
    breakBefore(kind);
    const done = length + text.length > MAX_SEGMENT_CHARS ? flush() : [];
    parts.push(text);
    length += text.length;
    last = kind;
    return done;
  };
  const enter = (level: number, text: string): void => {
    const label = sanitise(text).replace(/\s+/g, " ").trim();
    if (label === "") return;
    while ((path.at(-1)?.level ?? Number.NEGATIVE_INFINITY) >= level) path.pop();
    path.push({ level, text: cutAt(label, MAX_HEADING_CHARS) });
    section = path.map((heading) => heading.text).join(SECTION_SEPARATOR);
  };
  /** Ends the running segment, its last line break included. */
  const close = (): Segment[] => {
    if (last !== "none") breakBefore("paragraph");
    last = "none";
    return flush();
  };

  return {
    add(block) {
      switch (block.kind) {
        case "gap":
          if (last === "line") last = "paragraph";
          return [];
        case "page": {
          const done = close();
          page = block.page;
          return done;
        }
        case "section": {
          const done = close();
          enter(block.level, block.text);
          return done;
        }
        case "heading": {
          if (block.text.trim() === "") return [];
          const done = close();
          enter(block.level, block.text);
          return [...done, ...write(block.text, "paragraph")];
        }
        default:
          return write(block.text, block.kind);
      }
    },
    end() {
      if (last !== "none") parts.push("\n");
      return flush();
    },
    get count() {
      return keepSegment.count;
    },
  };
}

type Located = Partial<Omit<Segment, "seq" | "content">> & { readonly content: string };

/** Numbers segments, sanitises their text and keeps the document's character limit. */
export function createSegmentCounter(maxChars: number): {
  /** null: nothing is left of its text, as of a stretch of NULs that a log was left with. */
  take(segment: Located): Segment | null;
  readonly count: number;
} {
  let seq = 0;
  let chars = 0;
  return {
    take({ content, ...place }) {
      const clean = sanitise(content);
      if (clean === "") return null;
      chars += clean.length;
      if (chars > maxChars) throw new Failure("extract.too-large", { facts: { maxChars } });
      seq += 1;
      return {
        seq,
        content: clean,
        pageNumber: null,
        section: null,
        speaker: null,
        startedMs: null,
        endedMs: null,
        ...place,
      };
    },
    get count() {
      return seq;
    },
  };
}

/** Pieces of at most MAX_SEGMENT_CHARS that join to the same text. */
export function cutLongText(text: string): string[] {
  const pieces: string[] = [];
  let from = 0;
  while (text.length - from > MAX_SEGMENT_CHARS) {
    const end = from + findCut(text.slice(from, from + MAX_SEGMENT_CHARS + 1));
    pieces.push(text.slice(from, end));
    from = end;
  }
  pieces.push(text.slice(from));
  return pieces;
}

/**
 * Where to cut a text that is one unit longer than a segment may be: after the last paragraph, else line, else
 * sentence, else word in its second half, else hard; never inside a surrogate pair or a CRLF.
 */
export function findCut(window: string): number {
  const limit = window.length - 1;
  const floor = Math.floor(limit / 2);
  for (const mark of ["\n\n", "\n", ". ", "。", " "]) {
    const at = window.lastIndexOf(mark, limit - mark.length);
    if (at >= floor) return at + mark.length;
  }
  const code = window.charCodeAt(limit - 1);
  const splits = (code >= 0xd800 && code <= 0xdbff) || (code === 13 && window.charCodeAt(limit) === 10);
  return splits ? limit - 1 : limit;
}

function cutAt(text: string, chars: number): string {
  if (text.length <= chars) return text;
  const end = findCut(text.slice(0, chars + 1));
  return text.slice(0, end).trimEnd();
}
