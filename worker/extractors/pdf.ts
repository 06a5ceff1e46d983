// PDF, page by page: text in stream order, headings into the section path, form values at the end of their page.
// A page that cannot be read is named and does not cost the others.
import type { PDFDocumentProxy, PDFPageProxy } from "pdfjs-dist/types/src/display/api.js";
import { Failure } from "../failure/failure.ts";
import { createSegmentCutter } from "./cut-segments.ts";
import type { Extracted, Extraction, FileToRead } from "./extractor.ts";
import { openPdf } from "./open-pdf.ts";
import { createFontNames, type FontNames } from "./pdf-fonts.ts";
import { fieldValues } from "./pdf-form.ts";
import {
  arrange,
  headingsByFonts,
  headingsByOutline,
  headingsByTags,
  learnStyles,
  nestHeadings,
  type PdfHeading,
} from "./pdf-headings.ts";
import { linesOfPage, type PdfLine } from "./pdf-lines.ts";
import { readOutline } from "./pdf-outline.ts";
import { createWordJoiner, paragraphsOf } from "./pdf-paragraphs.ts";
import { readTagLevels } from "./pdf-tags.ts";

/** Pages looked at to learn the fonts of body and headings; their lines are kept, so nothing is read twice. */
const SAMPLE_PAGES = 24;
/** Decisions name the first of many broken pages. */
const MAX_NAMED_PAGES = 20;

type PageFinder = {
  readonly way: string;
  find(page: number, lines: readonly PdfLine[]): readonly PdfHeading[];
};

export async function* readPdf(file: FileToRead): AsyncGenerator<Extracted> {
  const { pdf, close } = await openPdf(file.path);
  try {
    yield* readPages(pdf, file);
  } finally {
    await close();
  }
}

async function* readPages(pdf: PDFDocumentProxy, file: FileToRead): AsyncGenerator<Extracted> {
  const trouble: PageTrouble = { broken: [], blank: [], unreadable: [] };
  const reader = createPageReader(pdf, trouble);
  const finder = await chooseFinder(pdf, reader);
  const extraction: Extraction = {
    mediaType: file.mediaType,
    pages: pdf.numPages,
    title: await titleOf(pdf),
    decisions: [...file.decisions, `headings by ${finder.way}`],
  };
  yield { kind: "extraction", extraction };
  const cutter = createSegmentCutter(file.maxChars);
  const joiner = createWordJoiner();
  for (let page = 1; page <= pdf.numPages; page += 1) {
    const { lines, fields } = await reader.read(page);
    const blocks = arrange(lines, finder.find(page, lines), (between) => paragraphsOf(between, joiner));
    for (const block of [{ kind: "page", page } as const, ...blocks, ...fields])
      for (const segment of cutter.add(block)) yield { kind: "segment", segment };
    yield { kind: "progress", page, pages: pdf.numPages };
  }
  for (const segment of cutter.end()) yield { kind: "segment", segment };
  if (cutter.count === 0) throw nothingFound(pdf.numPages, trouble);
  const told = describeTrouble(trouble);
  if (told.length > 0)
    yield {
      kind: "extraction",
      extraction: { ...extraction, decisions: [...extraction.decisions, ...told] },
    };
}

type PageTrouble = { readonly broken: number[]; readonly blank: number[]; readonly unreadable: number[] };

function nothingFound(pages: number, { broken, unreadable }: PageTrouble): Failure {
  if (broken.length === pages) return new Failure("extract.corrupt", { facts: { format: "pdf", pages } });
  return new Failure("extract.no-text", { facts: { pages, withoutUnicode: unreadable.length || undefined } });
}

function describeTrouble({ broken, blank, unreadable }: PageTrouble): string[] {
  return [
    ...listPages("pages that could not be read", broken),
    ...listPages("pages without text (pictures or blank)", blank),
    ...listPages("pages with lines left out because their fonts do not tell their characters", unreadable),
  ];
}

function listPages(what: string, pages: readonly number[]): string[] {
  if (pages.length === 0) return [];
  const sorted = pages.toSorted((a, b) => a - b);
  const more = pages.length > MAX_NAMED_PAGES ? ` and ${pages.length - MAX_NAMED_PAGES} more` : "";
  return [`${what}: ${sorted.slice(0, MAX_NAMED_PAGES).join(", ")}${more}`];
}

type PageText = {
  readonly lines: readonly PdfLine[];
  readonly fields: readonly { kind: "line"; text: string }[];
};

type PageReader = {
  read(page: number): Promise<PageText>;
  /** Reads a page and keeps it until `read` asks for it. */
  peek(page: number): Promise<PageText>;
  readonly fonts: FontNames;
};

function createPageReader(pdf: PDFDocumentProxy, trouble: PageTrouble): PageReader {
  const kept = new Map<number, PageText>();
  const fonts = createFontNames();
  const load = async (number: number): Promise<PageText> => {
    let page: PDFPageProxy | null = null;
    try {
      page = await pdf.getPage(number);
      const levels = await readTagLevels(page);
      const content = await page.getTextContent({ includeMarkedContent: levels.size > 0 });
      await fonts.learn(page, content);
      const fields = await fieldValues(page);
      const lines = linesOfPage(content, levels);
      if (lines.length === 0 && fields.length === 0) trouble.blank.push(number);
      const readable = lines.filter((line) => !line.unreadable);
      if (readable.length < lines.length) trouble.unreadable.push(number);
      return { lines: readable, fields };
    } catch (thrown) {
      if (thrown instanceof Failure) throw thrown;
      trouble.broken.push(number);
      return { lines: [], fields: [] };
    } finally {
      page?.cleanup();
    }
  };
  return {
    fonts,
    async peek(number) {
      const text = kept.get(number) ?? (await load(number));
      kept.set(number, text);
      return text;
    },
    async read(number) {
      const text = kept.get(number) ?? (await load(number));
      kept.delete(number);
      return text;
    },
  };
}

/** Bookmarks rarer than one in so many pages name chapters only, or just the document. */
const PAGES_PER_BOOKMARK = 8;
const MIN_BOOKMARKS = 3;

async function chooseFinder(pdf: PDFDocumentProxy, reader: PageReader): Promise<PageFinder> {
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
    find: (page, lines) => nestHeadings(marked(page, lines), seen.find(page, lines)),
  };
}

async function lookForHeadings(pdf: PDFDocumentProxy, reader: PageReader): Promise<PageFinder> {
  const sample: (readonly PdfLine[])[] = [];
  for (const page of samplePages(pdf.numPages)) sample.push((await reader.peek(page)).lines);
  if (sample.some((lines) => lines.some((line) => line.tagLevel !== null)))
    return { way: "tags", find: (_, lines) => headingsByTags(lines) };
  const styles = learnStyles(sample, reader.fonts.isBold);
  return { way: "fonts", find: (_, lines) => headingsByFonts(lines, styles) };
}

/** The first pages and others spread over the document. */
function samplePages(pages: number): readonly number[] {
  if (pages <= SAMPLE_PAGES) return Array.from({ length: pages }, (_, at) => at + 1);
  const step = pages / SAMPLE_PAGES;
  return [...new Set(Array.from({ length: SAMPLE_PAGES }, (_, at) => 1 + Math.floor(at * step)))];
}

async function titleOf(pdf: PDFDocumentProxy): Promise<string | null> {
  const metadata = await pdf.getMetadata().catch(() => null);
  const info = metadata?.info as { readonly Title?: unknown } | undefined;
  const title = typeof info?.Title === "string" ? info.Title.replace(/\s+/g, " ").trim() : "";
  // What a printer driver wrote is a file name, not a title.
  return title === "" || /^(microsoft word - |untitled|.*\.(docx?|dvi|indd|tex)$)/i.test(title)
    ? null
    : title;
}
