// Which lines of a PDF are headings, by the first of these that the document has: its outline (bookmarks),
// its tags, its fonts. Fonts are judged against the body text of a sample of pages, so that reading can stream.
import type { Block } from "../cut-segments.ts";
import { type HeadingStyles, MAX_HEADING_CHARS, sectionNumber } from "./heading-styles.ts";
import type { PdfLine } from "./lines.ts";
import type { OutlineEntry } from "./outline.ts";

const MAX_HEADING_LINES = 3;
/** More than any level that fonts or tags give. */
const BELOW_OUTLINE = 1_000;

/** A heading that begins at a line: it takes `lines` of them (0: it is a bookmark that no line spells out). */
export type PdfHeading = {
  readonly at: number;
  readonly lines: number;
  readonly level: number;
  readonly text: string;
};

/** Headings by bookmarks: each is sought among the page's lines, else set where the bookmark points. */
export function headingsByOutline(lines: readonly PdfLine[], entries: readonly OutlineEntry[]): PdfHeading[] {
  const found: PdfHeading[] = [];
  let from = 0;
  for (const { title, level, top } of entries) {
    const spelled = findTitle(lines, title, from);
    if (spelled !== null) {
      found.push({ ...spelled, level, text: title });
      from = spelled.at + spelled.lines;
      continue;
    }
    const below = top === null ? 0 : lines.findIndex((line) => line.y <= top);
    const at = Math.max(from, below < 0 ? lines.length : below);
    found.push({ at, lines: 0, level, text: title });
    from = at;
  }
  return found;
}

function findTitle(
  lines: readonly PdfLine[],
  title: string,
  from: number,
): { at: number; lines: number } | null {
  const wanted = letters(title);
  if (wanted === "") return null;
  for (let at = from; at < lines.length; at += 1) {
    let text = "";
    for (let count = 1; count <= MAX_HEADING_LINES && at + count <= lines.length; count += 1) {
      text += letters(lines[at + count - 1]?.text ?? "");
      if (withoutNumber(text) === withoutNumber(wanted)) return { at, lines: count };
      if (!wanted.includes(withoutNumber(text)) || text.length > wanted.length + 8) break;
    }
  }
  return null;
}

const letters = (text: string): string =>
  text
    .normalize("NFKC")
    .toLowerCase()
    .replace(/[^\p{L}\p{N}]+/gu, "");
const withoutNumber = (text: string): string => text.replace(/^\d+(?=\p{L})/u, "");

/** Headings by the document's tags; neighbouring lines of one level are one heading. */
export function headingsByTags(lines: readonly PdfLine[]): PdfHeading[] {
  return runs(lines, (line) => line.tagLevel);
}

/** Headings by fonts, from styles learned by `learnStyles`. */
export function headingsByFonts(lines: readonly PdfLine[], styles: HeadingStyles): PdfHeading[] {
  return runs(lines, (line, at) => styles.levelOf(line, lines[at - 1] ?? null));
}

/** Headings of the text below those of a sparse outline; where both see the same line the outline's holds. */
export function nestHeadings(outline: readonly PdfHeading[], seen: readonly PdfHeading[]): PdfHeading[] {
  const free = seen.filter(({ at }) => !outline.some((mark) => at >= mark.at && at < mark.at + mark.lines));
  const below = free.map((heading) => ({ ...heading, level: heading.level + BELOW_OUTLINE }));
  return [...outline, ...below].sort((a, b) => a.at - b.at);
}

function runs(
  lines: readonly PdfLine[],
  levelOf: (line: PdfLine, at: number) => number | null,
): PdfHeading[] {
  const found: PdfHeading[] = [];
  for (let at = 0; at < lines.length; at += 1) {
    const line = lines[at];
    const level = line === undefined ? null : levelOf(line, at);
    if (line === undefined || level === null) continue;
    let count = 1;
    let text = line.text;
    for (
      let next = lines[at + 1];
      count < MAX_HEADING_LINES && next !== undefined;
      next = lines[at + count]
    ) {
      const above = lines[at + count - 1] ?? line;
      const closeBy = above.y - next.y > 0 && above.y - next.y < 1.6 * above.size;
      if (levelOf(next, at + count) !== level || !closeBy || sectionNumber(next.text) !== null) break;
      text += ` ${next.text}`;
      count += 1;
    }
    if (text.length <= MAX_HEADING_CHARS) found.push({ at, lines: count, level, text });
    at += count - 1;
  }
  return found;
}

/** Interleaves headings with the text between them. `textOf` turns consecutive lines into blocks. */
export function arrange(
  lines: readonly PdfLine[],
  headings: readonly PdfHeading[],
  textOf: (lines: readonly PdfLine[]) => readonly Block[],
): Block[] {
  const blocks: Block[] = [];
  let at = 0;
  for (const heading of headings) {
    if (heading.at > at) blocks.push(...textOf(lines.slice(at, heading.at)));
    const { level, text } = heading;
    if (heading.lines === 0) blocks.push({ kind: "section", level, text });
    else {
      const spelled = lines.slice(heading.at, heading.at + heading.lines).map((line) => line.text);
      blocks.push({ kind: "heading", level, text: spelled.join(" ") });
    }
    at = Math.max(at, heading.at + heading.lines);
  }
  if (at < lines.length) blocks.push(...textOf(lines.slice(at)));
  return blocks;
}
