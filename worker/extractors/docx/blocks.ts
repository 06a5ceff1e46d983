// The blocks of a DOCX in order, those of the parts that stand in its body among them. A whole document may be such a
// part; what that one holds in turn is not followed.
import { Failure } from "../../failure/failure.ts";
import type { Block } from "../cut-segments.ts";
import { findMainPart, readPart, readRelationships, readWholePart } from "../office/package.ts";
import { openZipArchive, type ZipArchive } from "../zip-archive.ts";
import { createBodyReader, type DocxContext } from "./body.ts";
import { readBytes, readEmbedded } from "./embedded.ts";
import { createNoteReader } from "./notes.ts";
import { createNumberingReader } from "./numbering.ts";
import type { PageCounter } from "./pages.ts";
import { createStyleReader } from "./styles.ts";

const DOCX = /\.doc[xm]$/i;

export type DocxReading = {
  readonly zip: ZipArchive;
  readonly main: string;
  readonly maxChars: number;
  /** Null where Word left no marks. */
  readonly pages: PageCounter | null;
  /** Told for each part that is left out. */
  readonly leaveOut: () => void;
};

type Item = Block | { readonly kind: "part"; readonly id: string };

/** As they become ready: one by one they would cost as much as what is read. */
export async function* readDocxBlocks(reading: DocxReading): AsyncGenerator<readonly Block[]> {
  for await (const { blocks, part } of stretchesOf(reading)) {
    yield blocks;
    if (part === null) continue;
    try {
      yield* readInside(reading, part);
    } catch (thrown) {
      // A damaged or locked part costs itself and not the document; limits hold for both.
      if (!(thrown instanceof Failure) || thrown.code === "extract.too-large") throw thrown;
      reading.leaveOut();
    }
  }
}

async function* readInside(reading: DocxReading, part: string): AsyncGenerator<readonly Block[]> {
  const { zip, maxChars, leaveOut } = reading;
  if (!DOCX.test(part)) {
    const blocks = await readEmbedded(zip, part, maxChars);
    if (blocks === null) leaveOut();
    else yield blocks;
    return;
  }
  const bytes = await readBytes(zip, part);
  if (bytes === null) {
    leaveOut();
    return;
  }
  const inner = await openZipArchive(bytes, zip.spent);
  try {
    const main = await findMainPart(inner, "word/document.xml");
    // Its pages are not the outer one's.
    for await (const stretch of stretchesOf({ zip: inner, main, maxChars, pages: null, leaveOut })) {
      yield stretch.blocks;
      if (stretch.part !== null) leaveOut();
    }
  } finally {
    inner.close();
  }
}

/** Blocks, and the part that stands behind them. */
type Stretch = { readonly blocks: readonly Block[]; readonly part: string | null };

async function* stretchesOf(reading: DocxReading): AsyncGenerator<Stretch> {
  const { zip, main, pages } = reading;
  const related = await readRelationships(zip, main);
  const parts = new Map(related.map(({ id, part }) => [id, part]));
  const context = await readContext(reading, (kind) => {
    const named = related.find((relation) => relation.kind === kind)?.part ?? `word/${kind}.xml`;
    return zip.has(named) ? named : null;
  });
  const items: Item[] = [];
  const body = createBodyReader(
    { ...context, pages },
    { block: (block) => void items.push(block), part: (id) => void items.push({ kind: "part", id }) },
  );
  const ready = function* (): Generator<Stretch> {
    let blocks: Block[] = [];
    for (const item of items.splice(0)) {
      if (item.kind !== "part") {
        blocks.push(item);
        continue;
      }
      const part = parts.get(item.id);
      if (part === undefined || !zip.has(part)) continue;
      yield { blocks, part };
      blocks = [];
    }
    if (blocks.length > 0) yield { blocks, part: null };
  };
  for await (const _ of readPart(zip, main, body)) yield* ready();
  yield* ready();
}

/** Everything that has to be known before the first paragraph. */
async function readContext(
  { zip, maxChars }: DocxReading,
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
    const reader = createNoteReader({ styles, numbering: await readNumbering(), maxChars });
    await readWholePart(zip, part, reader);
    return reader.texts;
  };
  const notes = { footnotes: await readNotes("footnotes"), endnotes: await readNotes("endnotes") };
  return { styles, numbering: await readNumbering(), notes, maxChars };
}
