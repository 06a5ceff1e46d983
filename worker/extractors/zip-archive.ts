// A ZIP archive whose headers are not believed: what counts are the bytes that really come out.
// One budget holds for the whole archive, so many small bombs are as harmless as one big one.
import yauzl, { type Entry, type ZipFile } from "yauzl";
import { Failure } from "../failure/failure.ts";

const MAX_ENTRIES = 10_000;
/** A thousand pages of DOCX inflate to about 20 MiB of XML. */
const MAX_INFLATED_BYTES = 256 << 20;
/** Real XML shrinks 10 to 60 times; repeated paragraphs may do more, so small files are not judged by ratio. */
const MAX_RATIO = 200;
const RATIO_FREE_BYTES = 32 << 20;

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
  const opened =
    typeof source === "string"
      ? yauzl.openPromise(source, options)
      : yauzl.fromBufferPromise(source, options);
  const zip = await opened.catch((cause: unknown) => {
    throw new Failure("extract.corrupt", { cause, facts: { format: "zip" } });
  });
  try {
    return wrap(zip, await listEntries(zip), spent);
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

function wrap(zip: ZipFile, entries: Map<string, Entry>, spent: Spent): ZipArchive {
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
        for await (const chunk of await zip.openReadStreamPromise(entry)) {
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

function tooLarge(entry: string): Failure {
  return new Failure("extract.too-large", { facts: { entry } });
}
