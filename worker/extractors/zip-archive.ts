// A ZIP archive whose headers are not believed: what counts are the bytes that really come out.
// One budget holds for the whole archive, so many small bombs are as harmless as one big one.
import { readFileSync, statSync } from "node:fs";
import { inflateRawSync } from "node:zlib";
import yauzl, { type Entry, type ZipFile } from "yauzl";
import { Failure } from "../failure/failure.ts";

const MAX_ENTRIES = 10_000;
/** A thousand pages of DOCX inflate to about 20 MiB of XML. */
const MAX_INFLATED_BYTES = 256 << 20;
/** Real XML shrinks 10 to 60 times; repeated paragraphs may do more, so small files are not judged by ratio. */
const MAX_RATIO = 200;
const RATIO_FREE_BYTES = 32 << 20;
/** A smaller archive is read at once: trips through the thread pool were two thirds of reading a letter. */
const MAX_HELD_BYTES = 4 << 20;
/** A smaller entry inflates at once, for the same reason. */
const AT_ONCE_BYTES = 512 << 10;
const STORED = 0;
const DEFLATED = 8;

export type ZipArchive = {
  has(name: string): boolean;
  readonly names: readonly string[];
  /** Inflates one entry. Throws `extract.too-large`, `extract.corrupt`, `extract.encrypted`. */
  read(name: string): AsyncIterable<Buffer>;
  close(): void;
  readonly spent: Spent;
};

/** Bytes that have come out so far. */
export type Spent = { bytes: number };

/**
 * Opens an archive, a file or one that lies in memory, by its central directory. Throws `extract.corrupt` where there
 * is none or it is damaged. One that lies within another spends the other's budget.
 */
export async function openZipArchive(
  source: string | Buffer,
  spent: Spent = { bytes: 0 },
): Promise<ZipArchive> {
  const options = { autoClose: false };
  const held = typeof source === "string" ? readSmall(source) : source;
  const opened =
    held === null ? yauzl.openPromise(String(source), options) : yauzl.fromBufferPromise(held, options);
  const zip = await opened.catch((cause: unknown) => {
    throw new Failure("extract.corrupt", { cause, facts: { format: "zip" } });
  });
  try {
    return wrap(zip, await listEntries(zip), held, spent);
  } catch (thrown) {
    zip.close();
    throw thrown;
  }
}

async function listEntries(zip: ZipFile): Promise<Map<string, Entry>> {
  if (zip.entryCount > MAX_ENTRIES)
    throw new Failure("extract.too-large", { facts: { entries: zip.entryCount } });
  const entries = new Map<string, Entry>();
  try {
    for await (const entry of zip.eachEntry()) {
      // The first of two entries with one name is what Word reads; a second one is a way to smuggle.
      if (!entries.has(entry.fileName)) entries.set(entry.fileName, entry);
    }
  } catch (cause) {
    throw new Failure("extract.corrupt", { cause, facts: { format: "zip" } });
  }
  return entries;
}

function readSmall(path: string): Buffer | null {
  return statSync(path).size <= MAX_HELD_BYTES ? readFileSync(path) : null;
}

function wrap(zip: ZipFile, entries: Map<string, Entry>, held: Buffer | null, spent: Spent): ZipArchive {
  // Names of parts do not differ by case (ISO 29500-2, 6.2.2.3), and some writers count on it.
  const folded = new Map([...entries].reverse().map(([name, entry]) => [name.toLowerCase(), entry]));
  const find = (name: string): Entry | undefined => entries.get(name) ?? folded.get(name.toLowerCase());
  return {
    has: (name) => find(name) !== undefined,
    names: [...entries.keys()],
    close: () => zip.close(),
    spent,
    async *read(name) {
      const entry = find(name);
      if (entry === undefined) throw new Failure("extract.corrupt", { facts: { missing: name } });
      if (entry.isEncrypted()) throw new Failure("extract.encrypted");
      if (entry.uncompressedSize > MAX_INFLATED_BYTES) throw tooLarge(name);
      let own = 0;
      try {
        for await (const chunk of (await readAtOnce(zip, entry, held)) ??
          (await zip.openReadStreamPromise(entry))) {
          const bytes = chunk as Buffer;
          own += bytes.length;
          spent.bytes += bytes.length;
          if (spent.bytes > MAX_INFLATED_BYTES) throw tooLarge(name);
          if (own > RATIO_FREE_BYTES && own > entry.compressedSize * MAX_RATIO) throw tooLarge(name);
          yield bytes;
        }
      } catch (cause) {
        if (cause instanceof Failure) throw cause;
        throw new Failure("extract.corrupt", { cause, facts: { entry: name } });
      }
    },
  };
}

/** All of a small entry, or null: its bytes come in pieces then. Throws where it is damaged. */
async function readAtOnce(zip: ZipFile, entry: Entry, held: Buffer | null): Promise<[Buffer] | null> {
  const { compressedSize, uncompressedSize, compressionMethod } = entry;
  if (held === null || Math.max(compressedSize, uncompressedSize) > AT_ONCE_BYTES) return null;
  if (compressionMethod !== STORED && compressionMethod !== DEFLATED) return null;
  const { fileDataStart } = await zip.readLocalFileHeaderPromise(entry, { minimal: true });
  const packed = held.subarray(fileDataStart, fileDataStart + compressedSize);
  // One byte more than declared is enough to see that it lies.
  const bytes =
    compressionMethod === STORED ? packed : inflateRawSync(packed, { maxOutputLength: uncompressedSize + 1 });
  if (bytes.length !== uncompressedSize) throw new RangeError("an entry is not as long as it says");
  return [bytes];
}

function tooLarge(entry: string): Failure {
  return new Failure("extract.too-large", { facts: { entry } });
}
