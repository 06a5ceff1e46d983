// Other parts that stand in the body of a DOCX: a page of HTML or text that another program put in whole (`altChunk`),
// and the words of diagrams and charts.

import type { Block } from "../cut-segments.ts";
import { decodeBytes } from "../encoding/decode-text.ts";
import { createHtmlBlocks } from "../html/blocks.ts";
import { isGraphic, readGraphic } from "../office/graphics.ts";
import type { ZipArchive } from "../zip-archive.ts";

const HTML = /\.x?html?$/i;
const TEXT = /\.txt$/i;
/** Pages that programs put into a document are short; a longer one is a document of its own. */
const MAX_BYTES = 16 << 20;

/** Documents inside of the document (DOCX, RTF, MHT) are not read. */
export function isReadableChunk(part: string): boolean {
  return HTML.test(part) || TEXT.test(part) || isGraphic(part);
}

/** Throws what reading an entry throws. */
export async function* readEmbedded(zip: ZipArchive, part: string): AsyncGenerator<Block> {
  if (isGraphic(part)) yield* await readGraphic(zip, part);
  else if (HTML.test(part)) {
    const blocks: Block[] = [];
    const html = createHtmlBlocks((block) => void blocks.push(block));
    html.write(await readText(zip, part));
    html.end();
    yield* blocks;
  } else if (TEXT.test(part)) {
    for (const text of (await readText(zip, part)).split(/\n{2,}/))
      yield { kind: "paragraph", text: text.trim() };
  }
}

async function readText(zip: ZipArchive, part: string): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const bytes of zip.read(part)) {
    length += bytes.length;
    if (length > MAX_BYTES) break;
    chunks.push(bytes);
  }
  const bytes = Buffer.concat(chunks);
  const charset = /charset\s*=\s*["']?(windows-1252|iso-8859-1|utf-16)/i.exec(
    bytes.toString("latin1", 0, 2_048),
  )?.[1];
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return decodeBytes(bytes, "utf-16le");
  return decodeBytes(bytes, charset === undefined || /utf/i.test(charset) ? "utf-8" : "windows-1252");
}
