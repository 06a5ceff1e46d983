// What headings look like in a document without tags and bookmarks: larger or bolder than its body text, and set
// apart from what stands above. Learned from a sample of pages, so that reading can stream.
import type { PdfLine } from "./lines.ts";

export const MAX_HEADING_CHARS = 160;
/** A line this much larger than the body text needs no bold to stand out. */
const LARGER = 1.12;
/** Bold lines a little smaller than the body text may be headings still. */
const SMALLEST = 0.95;
/** A bold line with more of them is a list of names, as in references. */
const MAX_COMMAS = 2;

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
    if (line.size >= bodySize * LARGER) return true;
    return isBold(line.font) && !bodyBold && line.size >= bodySize * SMALLEST && line.fontShare > 0.85;
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
  if (
    text.length > MAX_HEADING_CHARS ||
    line.row ||
    line.frame > 0 ||
    line.cells.length > 2 ||
    !/\p{L}{2}/u.test(text)
  )
    return false;
  if (/^(figure|fig\.|table|listing|algorithm|abbildung|abb\.|tabelle|tableau)\s*\d/i.test(text))
    return false;
  if (/^[•▪●–—-]\s/.test(text)) return false;
  const numbered = sectionNumber(text) !== null;
  if (/[,;]$/.test(text) || (/[.。]$/.test(text) && !numbered)) return false;
  if (line.size >= bodySize * LARGER || numbered) return true;
  return !/:$/.test(text) && text.split(",").length - 1 <= MAX_COMMAS;
}

/** `3.1` of "3.1 Traces", "3.1. Traces"; at most two digits a part, so that years and amounts are none. */
export function sectionNumber(text: string): string | null {
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

/** Fonts that decide whether lines of a page are headings: as large as its body text, and not the body's own. */
export function fontsInQuestion(lines: readonly PdfLine[]): ReadonlySet<string> {
  const fonts = new Map<string, number>();
  const sizes = new Map<number, number>();
  for (const { font, size, text } of lines) {
    fonts.set(font, (fonts.get(font) ?? 0) + text.length);
    sizes.set(roundSize(size), (sizes.get(roundSize(size)) ?? 0) + text.length);
  }
  const most = <Key>(counts: ReadonlyMap<Key, number>): Key | undefined =>
    [...counts].reduce<[Key | undefined, number]>(
      (best, one) => (one[1] > best[1] ? one : best),
      [undefined, 0],
    )[0];
  const [body, bodySize] = [most(fonts), most(sizes) ?? 0];
  const asked = lines.filter(
    (line) =>
      line.font !== body &&
      line.fontShare > 0.85 &&
      line.size >= bodySize * SMALLEST &&
      line.size < bodySize * LARGER &&
      readsAsHeading(line, bodySize),
  );
  return new Set(asked.map((line) => line.font));
}
