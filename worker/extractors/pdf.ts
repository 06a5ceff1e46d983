// PDF, page by page: lines in reading order, headings into the section path, values of forms at the end of their
// page. A page that cannot be read is named and does not cost the others.
import type { PDFDocumentProxy } from "pdfjs-dist/types/src/display/api.js";
import { Failure } from "../failure/failure.ts";
import { createSegmentCutter } from "./cut-segments.ts";
import type { Extracted, Extraction, FileToRead } from "./extractor.ts";
import { chooseFinder } from "./pdf/find-headings.ts";
import { arrange } from "./pdf/headings.ts";
import { createWordJoiner } from "./pdf/join-words.ts";
import { type OpenPdf, openPdf } from "./pdf/open-pdf.ts";
import { createPageReader } from "./pdf/page-reader.ts";
import { createPageTally, type PageTally } from "./pdf/page-tally.ts";
import { paragraphsOf } from "./pdf/paragraphs.ts";

export async function* readPdf(file: FileToRead): AsyncGenerator<Extracted> {
  const open = await openPdf(file.path, file.password);
  try {
    yield* readPages(open, file);
  } finally {
    await open.close();
  }
}

async function* readPages(open: OpenPdf, file: FileToRead): AsyncGenerator<Extracted> {
  const tally = createPageTally();
  const reader = await createPageReader(open, tally);
  const finder = await chooseFinder(open.document(), reader);
  const { numPages: pages } = open.document();
  const extraction: Extraction = {
    mediaType: file.mediaType,
    pages,
    title: await titleOf(open.document()),
    decisions: [...file.decisions, `headings by ${finder.way}`],
  };
  yield { kind: "extraction", extraction };
  const cutter = createSegmentCutter(file.maxChars);
  const joiner = createWordJoiner();
  for (let page = 1; page <= pages; page += 1) {
    const { lines, texts } = await reader.read(page);
    const headings = await finder.find(page, lines);
    const blocks = arrange(lines, headings, (between) => paragraphsOf(between, joiner));
    for (const block of [{ kind: "page", page } as const, ...blocks, ...texts])
      for (const segment of cutter.add(block)) yield { kind: "segment", segment };
    yield { kind: "progress", page, pages };
  }
  for (const segment of cutter.end()) yield { kind: "segment", segment };
  if (cutter.count === 0) throw nothingFound(pages, tally);
  const told = tally.describe();
  if (told.length > 0)
    yield {
      kind: "extraction",
      extraction: { ...extraction, decisions: [...extraction.decisions, ...told] },
    };
}

function nothingFound(pages: number, { brokenPages, unreadablePages }: PageTally): Failure {
  if (brokenPages === pages) return new Failure("extract.corrupt", { facts: { format: "pdf", pages } });
  return new Failure("extract.no-text", { facts: { pages, withoutUnicode: unreadablePages || undefined } });
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
