// Which lines of a PDF are headings, by the first of these that the document has: its outline (bookmarks),
// its tags, its fonts. Fonts are judged against the body text of a sample of pages, so that reading can stream.
import type { Block } from "./cut-segments.ts";
import type { PdfLine } from "./pdf-lines.ts";
import type { OutlineEntry } from "./pdf-outline.ts";

const MAX_HEADING_LINES = 3;
const MAX_HEADING_CHARS = 160;
/** More than any level that fonts or tags give. */
const BELOW_OUTLINE = 1_000;
/** A bold line with more of them is a list of names, as in references. */
const MAX_COMMAS = 2;

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

export type HeadingStyles = {
  /** Levels compare, they do not count: 10, 11, 20 … ; null for what is no heading. */
  levelOf(line: PdfLine, above: PdfLine | null): number | null;
};

/** Learns what body text and headings look like. `isBold` knows the fonts of the sample by their real names. */
export function learnStyles(
  sample: readonly (readonly PdfLine[])[],
  isBold: (font: string) => boolean,
): HeadingStyles {
  const lines = sample.flat();
  const chars = new Map<string, number>();
  let all = 0;
  for (const line of lines) {
    const key = styleKey(line.size, isBold(line.font));
    chars.set(key, (chars.get(key) ?? 0) + line.text.length);
    all += line.text.length;
  }
  const body = [...chars].reduce((best, one) => (one[1] > best[1] ? one : best), ["10|regular", 0])[0];
  const bodySize = Number(body.split("|")[0]);
  const bodyBold = body.endsWith("bold");
  const running = runningTexts(sample);
  const stands = (line: PdfLine): boolean => {
    const share = (chars.get(styleKey(line.size, isBold(line.font))) ?? 0) / Math.max(1, all);
    if (share > 0.25) return false;
    if (line.size >= bodySize * 1.12) return true;
    return isBold(line.font) && !bodyBold && line.size >= bodySize * 0.95 && line.fontShare > 0.85;
  };
  const sizes = [...new Set(lines.filter(stands).map((line) => roundSize(line.size)))].sort((a, b) => b - a);
  return {
    levelOf(line, above) {
      if (!stands(line) || !readsAsHeading(line, bodySize) || running.has(runningKey(line.text))) return null;
      if (above !== null && !isApart(above, line, isBold)) return null;
      const rank = sizes.findIndex((size) => size <= roundSize(line.size));
      const depth = sectionNumber(line.text)?.split(".").length ?? 1;
      return (rank < 0 ? sizes.length : rank) * 10 + Math.min(depth, 9);
    },
  };
}

/** A heading stands apart from the text above it, by space, or by standing above the line before (a new column). */
function isApart(above: PdfLine, line: PdfLine, isBold: (font: string) => boolean): boolean {
  const step = above.y - line.y;
  if (step < 0 || step > 1.25 * line.size) return true;
  return Math.abs(above.size - line.size) > 0.1 * line.size || isBold(above.font) === isBold(line.font);
}

function readsAsHeading(line: PdfLine, bodySize: number): boolean {
  const { text } = line;
  if (text.length > MAX_HEADING_CHARS || line.wideGaps > 1 || !/\p{L}{2}/u.test(text)) return false;
  if (/^(figure|fig\.|table|listing|algorithm|abbildung|abb\.|tabelle|tableau)\s*\d/i.test(text))
    return false;
  if (/^[•▪●–—-]\s/.test(text)) return false;
  const numbered = sectionNumber(text) !== null;
  if (/[,;]$/.test(text) || (/[.。]$/.test(text) && !numbered)) return false;
  if (line.size >= bodySize * 1.12 || numbered) return true;
  return !/:$/.test(text) && text.split(",").length - 1 <= MAX_COMMAS;
}

/** `3.1` of "3.1 Traces", "3.1. Traces"; at most two digits a part, so that years and amounts are none. */
function sectionNumber(text: string): string | null {
  return /^(\d{1,2}(?:\.\d{1,2}){0,4})\.?\s+\p{L}/u.exec(text)?.[1] ?? null;
}

/** What stands at the top or bottom of several sampled pages is a running header, whatever its font. */
function runningTexts(sample: readonly (readonly PdfLine[])[]): Set<string> {
  const counts = new Map<string, number>();
  for (const lines of sample) {
    const edges = new Set([...lines.slice(0, 2), ...lines.slice(-2)].map((line) => runningKey(line.text)));
    for (const key of edges) counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return new Set([...counts].filter(([, count]) => count >= 3).map(([key]) => key));
}

const runningKey = (text: string): string => text.replace(/\d+/g, "#").toLowerCase();
const roundSize = (size: number): number => Math.round(size * 2) / 2;
const styleKey = (size: number, bold: boolean): string => `${roundSize(size)}|${bold ? "bold" : "regular"}`;

/** Whether a font is bold by its name: "TimesNewRomanPS-BoldMT", "NimbusRomNo9L-Medi", "SFBX1000", "LinLibertineTB". */
export function isBoldName(name: string): boolean {
  const bare = name.replace(/^[A-Z]{6}\+/, "");
  return (
    /bold|black|heavy|demi|semib|-medi(?!um)/i.test(bare) ||
    /^(CMB|SFB[XS]|ptmb|phvb|ECB)/.test(bare) ||
    /TB$/.test(bare)
  );
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
