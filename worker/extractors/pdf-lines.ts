// One page's text items to lines with their place, size and font, in the order of the content stream.
// pdf.js has rebuilt spaces and line ends from the gaps already; a line here is what a reader sees as one.
import type { TextContent, TextItem, TextMarkedContent } from "pdfjs-dist/types/src/display/api.js";

export type PdfLine = {
  readonly text: string;
  /** Left edge, right edge and baseline in points; the page's origin is at the bottom left. */
  readonly x: number;
  readonly right: number;
  readonly y: number;
  /** Size of most of its characters, in points. */
  readonly size: number;
  /** The document-wide name pdf.js gives the font of most of its characters, and their share. */
  readonly font: string;
  readonly fontShare: number;
  /** Gaps wider than two ems: more than one marks a table row. */
  readonly wideGaps: number;
  /** Heading level by the document's own tags, else null. */
  readonly tagLevel: number | null;
  /** Its font does not tell its characters (no map to Unicode): what stands in `text` means nothing. */
  readonly unreadable: boolean;
};

const WIDE_GAP_EMS = 2;

/** `levels`: heading level by the id of marked content, from the page's structure tree. */
export function linesOfPage(content: TextContent, levels: ReadonlyMap<string, number>): PdfLine[] {
  const lines: PdfLine[] = [];
  const marks: (string | null)[] = [];
  let items: TextItem[] = [];
  let level: number | null = null;
  const flush = (): void => {
    const line = composeLine(items, level);
    items = [];
    level = null;
    if (line !== null) lines.push(line);
  };
  for (const item of content.items) {
    if (!("str" in item)) {
      mark(item, marks);
      continue;
    }
    if (items.length > 0 && startsNewLine(items.at(-1), item)) flush();
    items.push(item);
    if (item.str.trim() !== "") level = levelOf(marks, levels) ?? level;
    if (item.hasEOL) flush();
  }
  flush();
  return lines;
}

function mark(item: TextMarkedContent, marks: (string | null)[]): void {
  if (item.type === "endMarkedContent") marks.pop();
  else marks.push(item.type === "beginMarkedContentProps" ? (item.id ?? null) : null);
}

function levelOf(marks: readonly (string | null)[], levels: ReadonlyMap<string, number>): number | null {
  if (levels.size === 0) return null;
  const id = marks.findLast((open) => open !== null && levels.has(open));
  return id === undefined || id === null ? null : (levels.get(id) ?? null);
}

/** Marked content may end a line without an end-of-line item: a move of more than half a line is one. */
function startsNewLine(last: TextItem | undefined, next: TextItem): boolean {
  if (last === undefined || last.hasEOL || next.str.trim() === "" || last.str.trim() === "") return false;
  if (!isUpright(last) || !isUpright(next)) return false;
  return Math.abs(yOf(last) - yOf(next)) > 0.7 * Math.max(sizeOf(last), sizeOf(next));
}

function composeLine(items: readonly TextItem[], tagLevel: number | null): PdfLine | null {
  const raw = items.map((item) => item.str).join("");
  // A control character between letters is a space whose font does not say so.
  const text = raw.replace(/[\s\p{Cc}]+/gu, " ").trim();
  const inked = items.filter((item) => item.str.trim() !== "");
  const first = inked[0];
  const unreadable = isMeaningless(raw);
  if ((text === "" && !unreadable) || first === undefined) return null;
  const [font, fontChars] = most(inked, (item) => item.fontName);
  const chars = inked.reduce((sum, item) => sum + item.str.length, 0);
  const size = Number(most(inked, (item) => sizeOf(item).toFixed(1))[0]);
  return {
    text,
    x: Math.min(...inked.map(xOf)),
    right: Math.max(...inked.map((item) => xOf(item) + item.width)),
    y: yOf(first),
    size,
    font,
    fontShare: fontChars / chars,
    wideGaps: items.filter((item) => item.str.trim() === "" && item.width > WIDE_GAP_EMS * size).length,
    tagLevel,
    unreadable,
  };
}

/** Most of its characters are private-use, unassigned, replacement or control characters. */
function isMeaningless(text: string): boolean {
  const inked = text.replace(/\s+/g, "");
  return (inked.match(/[\p{Co}\p{Cn}\ufffd\p{Cc}]/gu)?.length ?? 0) > inked.length / 2;
}

function most(items: readonly TextItem[], keyOf: (item: TextItem) => string): [string, number] {
  const counts = new Map<string, number>();
  for (const item of items) counts.set(keyOf(item), (counts.get(keyOf(item)) ?? 0) + item.str.length);
  return [...counts].reduce((best, one) => (one[1] > best[1] ? one : best), ["", 0]);
}

const entry = (item: TextItem, at: number): number => Number(item.transform[at] ?? 0);
const xOf = (item: TextItem): number => entry(item, 4);
const yOf = (item: TextItem): number => entry(item, 5);
const isUpright = (item: TextItem): boolean => entry(item, 1) === 0 && entry(item, 2) === 0;

function sizeOf(item: TextItem): number {
  return Math.hypot(entry(item, 2), entry(item, 3)) || item.height;
}
