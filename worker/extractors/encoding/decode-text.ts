// A file's bytes to text in chunks, with bounded memory, in an encoding that was chosen before.
// UTF-8 is read forgivingly: surrogates written as three bytes each (CESU-8) are joined, and what is not
// UTF-8 becomes U+FFFD, never an error, because the choice of encoding has already been weighed.
import iconv from "iconv-lite";
import { readChunks } from "../read-chunks.ts";

type ChunkDecoder = { write(bytes: Buffer): string; end(): string };

/** Decodes the whole file; line ends become `\n`, the byte order mark is dropped. */
export function* decodeFile(path: string, encoding: string): Generator<string> {
  const decoder = openTextDecoder(encoding);
  for (const bytes of readChunks(path)) {
    const text = decoder.write(bytes);
    if (text !== "") yield text;
  }
  const rest = decoder.end();
  if (rest !== "") yield rest;
}

/** The same for bytes from anywhere. */
export async function* decodeChunks(chunks: AsyncIterable<Buffer>, encoding: string): AsyncGenerator<string> {
  const decoder = openTextDecoder(encoding);
  for await (const bytes of chunks) {
    const text = decoder.write(bytes);
    if (text !== "") yield text;
  }
  const rest = decoder.end();
  if (rest !== "") yield rest;
}

/** Bytes as text without its byte order mark, whose lines end in `\n`. */
function openTextDecoder(encoding: string): ChunkDecoder {
  const decoder = openDecoder(encoding);
  const normalise = createLineEndNormaliser();
  let first = true;
  const unmarked = (text: string): string => {
    if (text === "" || !first) return text;
    first = false;
    return text.startsWith("\ufeff") ? text.slice(1) : text;
  };
  return {
    write: (bytes) => unmarked(normalise(decoder.write(bytes), false)),
    end: () => unmarked(normalise(decoder.end(), true)),
  };
}

/** The same for bytes that are in memory already. */
export function decodeBytes(bytes: Buffer, encoding: string): string {
  const decoder = openDecoder(encoding);
  const text = (decoder.write(bytes) + decoder.end()).replace(/\r\n?/g, "\n");
  return text.startsWith("\ufeff") ? text.slice(1) : text;
}

/** Lines of a decoded file without their ends. A line is held whole: its length is bounded by maxChars. */
export function* readLines(chunks: Iterable<string>): Generator<string> {
  let held: string[] = [];
  for (const chunk of chunks) {
    const lines = chunk.split("\n");
    const last = lines.pop() ?? "";
    for (const line of lines) {
      yield held.length === 0 ? line : held.join("") + line;
      held = [];
    }
    if (last !== "") held.push(last);
  }
  if (held.length > 0) yield held.join("");
}

function openDecoder(encoding: string): ChunkDecoder {
  if (encoding === "utf-8") return openUtf8Decoder();
  if (encoding === "utf-32le" || encoding === "utf-32be") return openUtf32Decoder(encoding === "utf-32le");
  if (encoding === "iso-2022-jp") {
    const decoder = new TextDecoder(encoding);
    return { write: (bytes) => decoder.decode(bytes, { stream: true }), end: () => decoder.decode() };
  }
  // iconv-lite and not TextDecoder: Node's windows-1252 is Latin-1, its EUC-KR lacks the Hangul of CP949 and
  // its Big5 maps to private-use characters (Node 24.9).
  const decoder = iconv.getDecoder(encoding);
  return { write: (bytes) => decoder.write(bytes), end: () => decoder.end() ?? "" };
}

function openUtf8Decoder(): ChunkDecoder {
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  let tail: Buffer = Buffer.alloc(0);
  return {
    write(bytes) {
      const all = tail.length === 0 ? bytes : Buffer.concat([tail, bytes]);
      // A surrogate pair in CESU-8 is six bytes: hold back what may be the beginning of one.
      const from = all.lastIndexOf(0xed);
      const keep = from >= 0 && from > all.length - 6 ? startOfPair(all, from) : all.length;
      tail = Buffer.from(all.subarray(keep));
      return decoder.decode(joinCesuSurrogates(all.subarray(0, keep)), { stream: true });
    },
    end() {
      const rest = decoder.decode(joinCesuSurrogates(tail), { stream: true });
      tail = Buffer.alloc(0);
      return rest + decoder.decode();
    },
  };
}

function startOfPair(bytes: Buffer, low: number): number {
  return low >= 3 && bytes[low - 3] === 0xed && (bytes[low - 2] ?? 0) >= 0xa0 ? low - 3 : low;
}

/** Surrogates written as three bytes: pairs become four-byte UTF-8, lone ones U+FFFD. Copies only when there are some. */
function joinCesuSurrogates(bytes: Buffer): Buffer {
  let at = bytes.indexOf(0xed);
  if (at < 0) return bytes;
  const parts: Buffer[] = [];
  let from = 0;
  for (; at >= 0; at = bytes.indexOf(0xed, at)) {
    const unit = surrogateAt(bytes, at);
    if (unit === null) {
      at += 1;
      continue;
    }
    parts.push(bytes.subarray(from, at));
    const low = unit < 0xdc00 ? surrogateAt(bytes, at + 3) : null;
    const paired = low !== null && low >= 0xdc00;
    parts.push(Buffer.from(paired ? String.fromCharCode(unit, low) : "\ufffd", "utf8"));
    at += paired ? 6 : 3;
    from = at;
  }
  if (from === 0) return bytes;
  parts.push(bytes.subarray(from));
  return Buffer.concat(parts);
}

function surrogateAt(bytes: Buffer, at: number): number | null {
  const [lead, second = 0, third = 0] = bytes.subarray(at, at + 3);
  if (lead !== 0xed || second < 0xa0 || second > 0xbf || third < 0x80 || third > 0xbf) return null;
  return 0xd000 | ((second & 0x3f) << 6) | (third & 0x3f);
}

function openUtf32Decoder(littleEndian: boolean): ChunkDecoder {
  let tail: Buffer = Buffer.alloc(0);
  return {
    write(bytes) {
      const all = tail.length === 0 ? bytes : Buffer.concat([tail, bytes]);
      const end = all.length - (all.length % 4);
      tail = Buffer.from(all.subarray(end));
      const out: string[] = [];
      for (let at = 0; at < end; at += 4) {
        const code = littleEndian ? all.readUInt32LE(at) : all.readUInt32BE(at);
        out.push(code <= 0x10ffff ? String.fromCodePoint(code) : "\ufffd");
      }
      return out.join("");
    },
    end: () => (tail.length === 0 ? "" : "\ufffd"),
  };
}

/** CRLF and CR to LF across chunk borders: a CR at the end of a chunk waits for what follows it. */
function createLineEndNormaliser(): (chunk: string, atEnd: boolean) => string {
  let heldReturn = false;
  return (chunk, atEnd) => {
    let text = heldReturn ? `\r${chunk}` : chunk;
    heldReturn = !atEnd && text.endsWith("\r");
    if (heldReturn) text = text.slice(0, -1);
    return text.includes("\r") ? text.replace(/\r\n?/g, "\n") : text;
  };
}
