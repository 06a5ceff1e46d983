// XLSX, sheet by sheet and row by row. A sheet is a page with its name as heading; the first row of a table is its
// header, which chunkers find as the first line. Hidden sheets, comments and formulas are left out: what counts is
// what a reader of the workbook sees.
import { Failure } from "../failure/failure.ts";
import { type Block, createSegmentCutter } from "./cut-segments.ts";
import type { Extracted, FileToRead } from "./extractor.ts";
import { findMainPart, readPart, readRelationships, readTitle, readWholePart } from "./office/package.ts";
import { readsZip } from "./reads-zip.ts";
import { createSheetReader } from "./xlsx/sheet.ts";
import { createFormatReader, createSharedTextReader, createWorkbookReader } from "./xlsx/workbook.ts";
import type { ZipArchive } from "./zip-archive.ts";

export const readXlsx = readsZip(readPackage);

async function* readPackage(zip: ZipArchive, file: FileToRead): AsyncGenerator<Extracted> {
  const main = await findMainPart(zip, "xl/workbook.xml");
  const related = await readRelationships(zip, main);
  const reader = createWorkbookReader(related);
  await readWholePart(zip, main, reader);
  const { sheets, hidden, since1904 } = reader.workbook;
  const partOf = (kind: string): string | undefined =>
    related.find((relation) => relation.kind === kind && zip.has(relation.part))?.part;
  const formats = createFormatReader(since1904);
  const stylePart = partOf("styles");
  if (stylePart !== undefined) await readWholePart(zip, stylePart, formats);
  const shared = createSharedTextReader(file.maxChars);
  const textPart = partOf("sharedStrings");
  if (textPart !== undefined) await readWholePart(zip, textPart, shared);

  const decisions = [...file.decisions, ...(hidden > 0 ? [`hidden sheets left out (${hidden})`] : [])];
  const extraction = {
    mediaType: file.mediaType,
    pages: sheets.length,
    title: await readTitle(zip),
    decisions,
  };
  yield { kind: "extraction", extraction };
  const cutter = createSegmentCutter(file.maxChars);
  const cut = function* (blocks: readonly Block[]): Generator<Extracted> {
    for (const block of blocks) for (const segment of cutter.add(block)) yield { kind: "segment", segment };
  };
  let rows = 0;
  let unsolved = 0;
  for (const [at, sheet] of sheets.entries()) {
    let blocks: Block[] = [];
    const cells = createSheetReader({ texts: shared.texts, formatOf: formats.formatOf }, (block) => {
      blocks.push(block);
    });
    let named = false;
    const drain = function* (): Generator<Extracted> {
      const ready = blocks;
      blocks = [];
      if (ready.length === 0) return;
      // A sheet without a word has no heading either.
      if (!named)
        yield* cut([
          { kind: "page", page: at + 1 },
          { kind: "heading", level: 1, text: sheet.name },
        ]);
      named = true;
      rows += ready.length;
      yield* cut(ready);
    };
    for await (const _ of readPart(zip, sheet.part, cells)) yield* drain();
    yield* drain();
    unsolved += cells.unsolved;
    yield { kind: "progress", page: at + 1, pages: sheets.length };
  }
  for (const segment of cutter.end()) yield { kind: "segment", segment };
  if (rows === 0) throw new Failure("extract.empty", { facts: { sheets: sheets.length } });
  if (unsolved > 0) {
    const told = `formulas without a stored result left out (${unsolved})`;
    yield { kind: "extraction", extraction: { ...extraction, decisions: [...decisions, told] } };
  }
}
