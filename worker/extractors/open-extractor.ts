// The only place that picks a reader for a type. The readers of text are there from the start, so that a child's
// first file need not wait for them; those of PDF, DOCX, EPUB, HTML and mail are loaded when one is met: they are the greater
// part of a child's start.
import { Failure } from "../failure/failure.ts";
import { readCaptions } from "./captions.ts";
import type { Extracted, GivenFile, ReadSegments } from "./extractor.ts";
import { readMarkdown } from "./markdown.ts";
import { detectType, RTF } from "./media-type/detect-type.ts";
import { DOCX, EPUB, ODP, ODS, ODT, PPTX, XLSX } from "./media-type/detect-zip-type.ts";
import { readPlainText } from "./plain-text.ts";

const readers: Readonly<Record<string, () => Promise<ReadSegments>>> = {
  "application/pdf": async () => (await import("./pdf.ts")).readPdf,
  [DOCX]: async () => (await import("./docx.ts")).readDocx,
  [PPTX]: async () => (await import("./pptx.ts")).readPptx,
  [XLSX]: async () => (await import("./xlsx.ts")).readXlsx,
  [ODT]: async () => (await import("./odf.ts")).readOpenDocument,
  [ODS]: async () => (await import("./odf.ts")).readOpenDocument,
  [ODP]: async () => (await import("./odf.ts")).readOpenDocument,
  [RTF]: async () => (await import("./rtf.ts")).readRtf,
  "text/html": async () => (await import("./html.ts")).readHtml,
  "text/csv": async () => (await import("./csv.ts")).readCsv,
  "text/tab-separated-values": async () => (await import("./csv.ts")).readCsv,
  "text/markdown": async () => readMarkdown,
  "text/plain": async () => readPlainText,
  "text/vtt": async () => readCaptions,
  "application/x-subrip": async () => readCaptions,
  [EPUB]: async () => (await import("./epub.ts")).readEpub,
  "message/rfc822": async () => (await import("./eml.ts")).readEml,
  "application/json": async () => (await import("./transcript-json.ts")).readTranscriptJson,
};

/** Decides the type and reads the file in this process: call it in the child only. Throws Failure `extract.*`. */
export async function* readFileSegments(file: GivenFile): AsyncGenerator<Extracted> {
  const detected = await detectType(file);
  const load = readers[detected.mediaType];
  if (load === undefined) throw new Failure("extract.unsupported", { facts: { found: detected.mediaType } });
  const read = await load();
  try {
    yield* read(detected);
  } catch (thrown) {
    if (thrown instanceof Failure) throw thrown;
    // A parser's surprise at hostile bytes is the file's fault, not ours.
    const name = thrown instanceof Error ? thrown.name : typeof thrown;
    throw new Failure("extract.corrupt", {
      cause: thrown,
      facts: { format: detected.mediaType, thrown: name },
    });
  }
}
