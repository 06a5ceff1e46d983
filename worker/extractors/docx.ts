// DOCX as a stream: the archive inflates, the XML is read as events, blocks leave as they close.
// A tree of a document with 200,000 paragraphs took 20 s and 1.3 GiB; this holds one table row at a time.
// Headers, footers and comments are left out: they are not what the document says.
import { Failure } from "../failure/failure.ts";
import { type Block, createSegmentCutter } from "./cut-segments.ts";
import { createBodyReader, createNoteReader } from "./docx-body.ts";
import { findParts, readPart, readTitle, readWholePart } from "./docx-package.ts";
import { createStyleReader } from "./docx-styles.ts";
import type { Extracted, FileToRead } from "./extractor.ts";
import { openZipArchive, type ZipArchive } from "./zip-archive.ts";

export async function* readDocx(file: FileToRead): AsyncGenerator<Extracted> {
  const zip = await openZipArchive(file.path);
  try {
    yield* readPackage(zip, file);
  } finally {
    zip.close();
  }
}

async function* readPackage(zip: ZipArchive, file: FileToRead): AsyncGenerator<Extracted> {
  const parts = await findParts(zip);
  const styles = createStyleReader();
  if (parts.styles !== null) await readWholePart(zip, parts.styles, styles);
  const footnotes = createNoteReader(styles);
  if (parts.footnotes !== null) await readWholePart(zip, parts.footnotes, footnotes);
  const endnotes = createNoteReader(styles);
  if (parts.endnotes !== null) await readWholePart(zip, parts.endnotes, endnotes);
  const extraction = {
    mediaType: file.mediaType,
    pages: null,
    title: await readTitle(zip),
    decisions: [...file.decisions, ...leftOut(zip)],
  };
  yield { kind: "extraction", extraction };
  const cutter = createSegmentCutter(file.maxChars);
  let blocks: Block[] = [];
  const body = createBodyReader(
    styles,
    { footnotes: footnotes.texts, endnotes: endnotes.texts },
    (block) => void blocks.push(block),
  );
  const drain = function* (): Generator<Extracted> {
    const ready = blocks;
    blocks = [];
    for (const block of ready) for (const segment of cutter.add(block)) yield { kind: "segment", segment };
  };
  for await (const _ of readPart(zip, parts.body, body)) yield* drain();
  yield* drain();
  for (const segment of cutter.end()) yield { kind: "segment", segment };
  if (cutter.count > 0) return;
  const pictures = zip.names.filter((name) => name.startsWith("word/media/")).length;
  throw new Failure(pictures > 0 ? "extract.no-text" : "extract.empty", { facts: { pictures } });
}

function leftOut(zip: ZipArchive): string[] {
  const count = (part: RegExp): number => zip.names.filter((name) => part.test(name)).length;
  const running = count(/^word\/(header|footer)\d*\.xml$/);
  const comments = count(/^word\/comments\.xml$/);
  return [
    ...(running > 0 ? [`headers and footers left out (${running} parts)`] : []),
    ...(comments > 0 ? ["comments left out"] : []),
  ];
}
