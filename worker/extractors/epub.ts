// EPUB: a ZIP of XHTML chapters, read in the order of the book. Chapters inflate as they are read, one at a time;
// a damaged one costs itself, an encrypted one the book, because its text would silently be missing.
import { Failure } from "../failure/failure.ts";
import { type Block, createSegmentCutter, type SegmentCutter } from "./cut-segments.ts";
import { decodeChunks } from "./encoding/decode-text.ts";
import { iconvName } from "./encoding/legacy-encodings.ts";
import { type EpubChapter, openBook } from "./epub/package.ts";
import type { Extracted, FileToRead } from "./extractor.ts";
import { createHtmlBlocks } from "./html/blocks.ts";
import { describeLeftOut } from "./html/left-out.ts";
import { hiddenRule } from "./html/signs.ts";
import { readsZip } from "./reads-zip.ts";
import type { ZipArchive } from "./zip-archive.ts";

/** Throws `extract.encrypted`, `extract.corrupt`, `extract.empty`, `extract.no-text`, `extract.too-large`. */
export const readEpub = readsZip(readBook);

async function* readBook(zip: ZipArchive, file: FileToRead): AsyncGenerator<Extracted> {
  const book = await openBook(zip);
  const leftOut = new Map<string, number>();
  let broken = 0;
  const said = (): Extracted => {
    const decisions = [
      ...file.decisions,
      ...(book.contents ? ["table of contents left out"] : []),
      ...(book.missing > 0 ? [`${book.missing} chapters are not in the archive`] : []),
      ...(broken > 0 ? [`${broken} damaged chapters not read to their end`] : []),
      ...describeLeftOut(leftOut),
    ];
    return {
      kind: "extraction",
      extraction: { mediaType: file.mediaType, pages: null, title: book.title, decisions },
    };
  };
  yield said();
  const cutter = createSegmentCutter(file.maxChars);
  for (const chapter of book.chapters) {
    try {
      yield* readChapter(zip, chapter, cutter, leftOut);
    } catch (thrown) {
      if (!(thrown instanceof Failure) || thrown.code !== "extract.corrupt") throw thrown;
      broken += 1;
    }
  }
  for (const segment of cutter.end()) yield { kind: "segment", segment };
  yield said();
  if (cutter.count > 0) return;
  if (broken > 0 || book.chapters.length === 0) throw new Failure("extract.corrupt", { facts: { broken } });
  const pictures = zip.names.filter((name) => /\.(jpe?g|png|gif|svg|webp)$/i.test(name)).length;
  throw new Failure(pictures > 0 ? "extract.no-text" : "extract.empty", { facts: { pictures } });
}

async function* readChapter(
  zip: ZipArchive,
  { path, label }: EpubChapter,
  cutter: SegmentCutter,
  leftOut: Map<string, number>,
): AsyncGenerator<Extracted> {
  let blocks: Block[] = [];
  let begun = false;
  const reader = createHtmlBlocks(
    (block) => {
      // A chapter that begins with a heading names itself; another is called what the table of contents says.
      if (!begun && label !== null && block.kind !== "heading")
        blocks.push({ kind: "section", level: 1, text: label });
      begun = true;
      blocks.push(block);
    },
    { leaves: hiddenRule, selfClosing: true },
  );
  const drain = function* (): Generator<Extracted> {
    const ready = blocks;
    blocks = [];
    for (const block of ready) for (const segment of cutter.add(block)) yield { kind: "segment", segment };
  };
  try {
    for await (const text of decodeXhtml(zip.read(path))) {
      reader.write(text);
      yield* drain();
    }
  } finally {
    reader.end();
    for (const [rule, chars] of reader.leftOut) leftOut.set(rule, (leftOut.get(rule) ?? 0) + chars);
  }
  yield* drain();
}

/** By byte order mark, else by the XML declaration, else UTF-8, as the format demands. */
async function* decodeXhtml(chunks: AsyncIterable<Buffer>): AsyncGenerator<string> {
  const source = chunks[Symbol.asyncIterator]();
  const first = await source.next();
  if (first.done) return;
  const [a, b] = first.value;
  const start = first.value.subarray(0, 200).toString("latin1");
  const declared = iconvName(
    /^[^<]{0,3}<\?xml[^>]{0,150}?encoding\s*=\s*["']([\w.:-]{2,40})/i.exec(start)?.[1] ?? "",
  );
  const wide = a === 0xff && b === 0xfe ? "utf-16le" : a === 0xfe && b === 0xff ? "utf-16be" : null;
  const all = async function* (): AsyncGenerator<Buffer> {
    yield first.value;
    yield* { [Symbol.asyncIterator]: () => source };
  };
  yield* decodeChunks(all(), wide ?? declared ?? "utf-8");
}
