// What another program put whole into the body of a DOCX (`altChunk`), and the words of its diagrams and charts.

import type { Block } from "../cut-segments.ts";
import { decodeBytes } from "../encoding/decode-text.ts";
import { createHtmlBlocks } from "../html/blocks.ts";
import { isGraphic, readGraphic } from "../office/graphics.ts";
import { createRtfReader } from "../rtf/body.ts";
import { createRtfTokenizer } from "../rtf/tokens.ts";
import type { ZipArchive } from "../zip-archive.ts";

const HTML = /\.x?html?$/i;
const MHTML = /\.(?:mht|mhtml|eml)$/i;
const RTF = /\.rtf$/i;
const TEXT = /\.txt$/i;
/** What programs put into a document is short; a longer part is a document of its own. */
const MAX_BYTES = 16 << 20;

/** Null where it is of no kind that is read, or too long. Throws what reading an entry throws. */
export async function readEmbedded(
  zip: ZipArchive,
  part: string,
  maxChars: number,
): Promise<readonly Block[] | null> {
  if (isGraphic(part)) return await readGraphic(zip, part);
  if (![HTML, MHTML, RTF, TEXT].some((kind) => kind.test(part))) return null;
  const bytes = await readBytes(zip, part);
  if (bytes === null) return null;
  if (HTML.test(part)) return readHtml(textOf(bytes));
  if (RTF.test(part)) return readRtf(bytes, maxChars);
  if (TEXT.test(part))
    return textOf(bytes)
      .split(/\n{2,}/)
      .map((text) => ({ kind: "paragraph", text: text.trim() }));
  // Most documents hold no page of this kind, and what reads it takes a while to load.
  const { readMailBody } = await import("../eml.ts");
  return await readMailBody(bytes);
}

/** Null where there are more than may be held. */
export async function readBytes(zip: ZipArchive, part: string): Promise<Buffer | null> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const bytes of zip.read(part)) {
    length += bytes.length;
    if (length > MAX_BYTES) return null;
    chunks.push(bytes);
  }
  return Buffer.concat(chunks);
}

function readHtml(page: string): Block[] {
  const blocks: Block[] = [];
  const html = createHtmlBlocks((block) => void blocks.push(block));
  html.write(page);
  html.end();
  return blocks;
}

function readRtf(bytes: Buffer, maxChars: number): Block[] {
  const blocks: Block[] = [];
  const reader = createRtfReader(maxChars, (block) => void blocks.push(block));
  const tokenizer = createRtfTokenizer(reader);
  tokenizer.write(bytes);
  tokenizer.end();
  reader.end();
  return blocks;
}

function textOf(bytes: Buffer): string {
  const charset = /charset\s*=\s*["']?(windows-1252|iso-8859-1|utf-16)/i.exec(
    bytes.toString("latin1", 0, 2_048),
  )?.[1];
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return decodeBytes(bytes, "utf-16le");
  return decodeBytes(bytes, charset === undefined || /utf/i.test(charset) ? "utf-8" : "windows-1252");
}
