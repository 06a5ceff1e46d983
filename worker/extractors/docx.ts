// DOCX as a stream: the archive inflates, the XML is read as events, blocks leave as they close.
// A tree of a document with 200,000 paragraphs took 20 s and 1.3 GiB; this holds one table row at a time.
// Headers, footers and comments are left out: they are not what the document says.
import { Failure } from "../failure/failure.ts";
import { type Block, createSegmentCutter } from "./cut-segments.ts";
import { createBodyReader, type DocxContext } from "./docx/body.ts";
import { isReadableChunk, readEmbedded } from "./docx/embedded.ts";
import { createNoteReader } from "./docx/notes.ts";
import { createNumberingReader } from "./docx/numbering.ts";
import { createPageCounter } from "./docx/pages.ts";
import { createStyleReader } from "./docx/styles.ts";
import type { Extracted, FileToRead } from "./extractor.ts";
import { findMainPart, readPart, readRelationships, readTitle, readWholePart } from "./office/package.ts";
import { readsZip } from "./reads-zip.ts";
import type { ZipArchive } from "./zip-archive.ts";

/** Word's marks of page ends are looked for in so much XML: no single page has more. */
const HINT_BYTES = 1 << 20;

type Item = Block | { readonly kind: "part"; readonly id: string };

export const readDocx = readsZip(readPackage);

async function* readPackage(zip: ZipArchive, file: FileToRead): AsyncGenerator<Extracted> {
  const main = await findMainPart(zip, "word/document.xml");
  const related = await readRelationships(zip, main);
  const partOf = (kind: string): string | null => {
    const usual = `word/${kind}.xml`;
    const named = related.find((relation) => relation.kind === kind)?.part ?? usual;
    return zip.has(named) ? named : null;
  };
  const context = await readContext(zip, file, partOf);
  const pages = (await hasPageMarks(zip, main)) ? createPageCounter() : null;
  const decisions = [...file.decisions, ...leftOut(zip)];
  if (pages !== null) decisions.push("pages as Word last laid them out");
  const extraction = { mediaType: file.mediaType, pages: null, title: await readTitle(zip), decisions };
  yield { kind: "extraction", extraction };

  const cutter = createSegmentCutter(file.maxChars);
  let items: Item[] = pages === null ? [] : [{ kind: "page", page: pages.page }];
  const body = createBodyReader(
    { ...context, pages },
    { block: (block) => void items.push(block), part: (id) => void items.push({ kind: "part", id }) },
  );
  const partsById = new Map(related.map(({ id, part }) => [id, part]));
  let unread = 0;
  const drain = async function* (): AsyncGenerator<Extracted> {
    const ready = items;
    items = [];
    for (const item of ready) {
      if (item.kind !== "part") {
        for (const segment of cutter.add(item)) yield { kind: "segment", segment };
        continue;
      }
      const part = partsById.get(item.id);
      if (part === undefined || !zip.has(part)) continue;
      if (!isReadableChunk(part)) unread += 1;
      for await (const block of readEmbedded(zip, part))
        for (const segment of cutter.add(block)) yield { kind: "segment", segment };
    }
  };
  for await (const _ of readPart(zip, main, body)) if (items.length > 0) yield* drain();
  yield* drain();
  for (const segment of cutter.end()) yield { kind: "segment", segment };
  if (cutter.count === 0) throw nothingRead(zip, unread);
  if (pages === null && unread === 0) return;
  if (unread > 0) decisions.push(`embedded documents left out (${unread})`);
  yield { kind: "extraction", extraction: { ...extraction, pages: pages?.page ?? null, decisions } };
}

/** Everything that has to be known before the first paragraph. */
async function readContext(
  zip: ZipArchive,
  file: FileToRead,
  partOf: (kind: string) => string | null,
): Promise<Omit<DocxContext, "pages">> {
  const styles = createStyleReader();
  const stylePart = partOf("styles");
  if (stylePart !== null) await readWholePart(zip, stylePart, styles);
  const readNumbering = async () => {
    const numbering = createNumberingReader((styleId) => styles.numbering(styleId)?.numId ?? null);
    const part = partOf("numbering");
    if (part !== null) await readWholePart(zip, part, numbering);
    return numbering;
  };
  const readNotes = async (kind: string): Promise<ReadonlyMap<string, string>> => {
    const part = partOf(kind);
    if (part === null) return new Map();
    // Lists in notes are numbered apart from those of the body.
    const reader = createNoteReader({ styles, numbering: await readNumbering(), maxChars: file.maxChars });
    await readWholePart(zip, part, reader);
    return reader.texts;
  };
  const notes = { footnotes: await readNotes("footnotes"), endnotes: await readNotes("endnotes") };
  return { styles, numbering: await readNumbering(), notes, maxChars: file.maxChars };
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
