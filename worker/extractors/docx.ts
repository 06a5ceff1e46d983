// DOCX as a stream: the archive inflates, the XML is read as events, blocks leave as they close.
// A tree of a document with 200,000 paragraphs took 20 s and 1.3 GiB; this holds one table row at a time.
// Headers, footers and comments are left out: they are not what the document says.
import { Failure } from "../failure/failure.ts";
import { createSegmentCutter } from "./cut-segments.ts";
import { readDocxBlocks } from "./docx/blocks.ts";
import { createPageCounter } from "./docx/pages.ts";
import type { Extracted, FileToRead } from "./extractor.ts";
import { findMainPart, readTitle } from "./office/package.ts";
import { readsZip } from "./reads-zip.ts";
import type { ZipArchive } from "./zip-archive.ts";

/** Word's marks of page ends are looked for in so much XML: no single page has more. */
const HINT_BYTES = 1 << 20;

export const readDocx = readsZip(readPackage);

async function* readPackage(zip: ZipArchive, file: FileToRead): AsyncGenerator<Extracted> {
  const main = await findMainPart(zip, "word/document.xml");
  const pages = (await hasPageMarks(zip, main)) ? createPageCounter() : null;
  const decisions = [...file.decisions, ...leftOut(zip)];
  if (pages !== null) decisions.push("pages as Word last laid them out");
  const extraction = { mediaType: file.mediaType, pages: null, title: await readTitle(zip), decisions };
  yield { kind: "extraction", extraction };

  const cutter = createSegmentCutter(file.maxChars);
  if (pages !== null) cutter.add({ kind: "page", page: pages.page });
  let unread = 0;
  const leaveOut = (): void => {
    unread += 1;
  };
  for await (const blocks of readDocxBlocks({ zip, main, maxChars: file.maxChars, pages, leaveOut }))
    for (const block of blocks) for (const segment of cutter.add(block)) yield { kind: "segment", segment };
  for (const segment of cutter.end()) yield { kind: "segment", segment };
  if (cutter.count === 0) throw nothingRead(zip, unread);
  if (pages === null && unread === 0) return;
  if (unread > 0) decisions.push(`embedded documents left out (${unread})`);
  yield { kind: "extraction", extraction: { ...extraction, pages: pages?.page ?? null, decisions } };
}

async function hasPageMarks(zip: ZipArchive, part: string): Promise<boolean> {
  let seen = 0;
  let tail: Buffer = Buffer.alloc(0);
  for await (const bytes of zip.read(part)) {
    if (Buffer.concat([tail, bytes]).includes(":lastRenderedPageBreak")) return true;
    tail = bytes.subarray(-32);
    seen += bytes.length;
    if (seen > HINT_BYTES) break;
  }
  return false;
}

function nothingRead(zip: ZipArchive, unread: number): Failure {
  const pictures = zip.names.filter((name) => name.startsWith("word/media/")).length;
  if (unread > 0) return new Failure("extract.unsupported", { facts: { embedded: unread } });
  return new Failure(pictures > 0 ? "extract.no-text" : "extract.empty", { facts: { pictures } });
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
