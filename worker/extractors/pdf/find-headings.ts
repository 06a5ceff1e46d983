// By what a document's headings are found: its bookmarks, else its tags, else its fonts; decided once, from its
// outline and a sample of pages.
import type { PDFDocumentProxy } from "pdfjs-dist/types/src/display/api.js";
import { fontsInQuestion, learnStyles } from "./heading-styles.ts";
import {
  headingsByFonts,
  headingsByOutline,
  headingsByTags,
  nestHeadings,
  type PdfHeading,
} from "./headings.ts";
import type { PdfLine } from "./lines.ts";
import { readOutline } from "./outline.ts";
import type { PageReader } from "./page-reader.ts";

/** Pages looked at to learn the fonts of body and headings; they are kept, so nothing is read twice. */
const SAMPLE_PAGES = 24;
/** Bookmarks rarer than one in so many pages name chapters only, or just the document. */
const PAGES_PER_BOOKMARK = 8;
const MIN_BOOKMARKS = 3;

export type HeadingFinder = {
  readonly way: string;
  find(page: number, lines: readonly PdfLine[]): PdfHeading[] | Promise<PdfHeading[]>;
};

export async function chooseFinder(pdf: PDFDocumentProxy, reader: PageReader): Promise<HeadingFinder> {
  const outline = await readOutline(pdf);
  const bookmarks = [...outline.values()].reduce((sum, entries) => sum + entries.length, 0);
  const marked = (page: number, lines: readonly PdfLine[]) =>
    headingsByOutline(lines, outline.get(page) ?? []);
  if (bookmarks >= Math.max(MIN_BOOKMARKS, pdf.numPages / PAGES_PER_BOOKMARK))
    return { way: "outline", find: marked };
  const seen = await lookForHeadings(pdf, reader);
  if (bookmarks === 0) return seen;
  return {
    way: `outline and ${seen.way}`,
    find: async (page, lines) => nestHeadings(marked(page, lines), await seen.find(page, lines)),
  };
}

async function lookForHeadings(pdf: PDFDocumentProxy, reader: PageReader): Promise<HeadingFinder> {
  const pages = samplePages(pdf.numPages);
  const sample = (await reader.peek(pages)).map((page) => page.lines.filter((line) => !line.unreadable));
  if (sample.some((lines) => lines.some((line) => line.tagLevel !== null)))
    return { way: "tags", find: (_, lines) => headingsByTags(lines) };
  const learnFonts = async (page: number, lines: readonly PdfLine[]): Promise<void> => {
    const asked = [...fontsInQuestion(lines)].some((font) => !reader.fonts.isKnown(font));
    if (asked) await reader.learnFonts(page);
  };
  for (const [at, page] of pages.entries()) await learnFonts(page, sample[at] ?? []);
  const styles = learnStyles(sample, reader.fonts.isBold);
  return {
    way: "fonts",
    async find(page, lines) {
      await learnFonts(page, lines);
      return headingsByFonts(lines, styles);
    },
  };
}

/** The first pages and others spread over the document. */
function samplePages(pages: number): readonly number[] {
  if (pages <= SAMPLE_PAGES) return Array.from({ length: pages }, (_, at) => at + 1);
  const step = pages / SAMPLE_PAGES;
  return [...new Set(Array.from({ length: SAMPLE_PAGES }, (_, at) => 1 + Math.floor(at * step)))];
}
