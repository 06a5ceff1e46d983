import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { strToU8, zipSync } from "fflate";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openZipArchive } from "./zip-archive.ts";

// Above what is held as a whole, and above what inflates at once.
const LARGE_ARCHIVE = 5 << 20;
const LARGE_ENTRY = 1 << 20;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "rag-zip-"));
});
afterAll(() => rm(folder, { recursive: true }));

const text = (bytes: number) => "All work and no play. ".repeat(bytes / 22 + 1).slice(0, bytes);

async function readAll(source: string | Buffer, name: string, spent = { bytes: 0 }): Promise<string> {
  const zip = await openZipArchive(source, spent);
  try {
    const chunks: Buffer[] = [];
    for await (const chunk of zip.read(name)) chunks.push(chunk);
    return Buffer.concat(chunks).toString();
  } finally {
    zip.close();
  }
}

test("entries read alike: in small and large archives, of all sizes, packed and stored, from a file and from memory", async () => {
  const padding = new Uint8Array(LARGE_ARCHIVE);
  for (const size of [0, 1, 10_000, LARGE_ENTRY])
    for (const level of [0, 9] as const)
      for (const more of [{}, { padding: [padding, { level: 0 }] as const }]) {
        const bytes = zipSync({ entry: [strToU8(text(size)), { level }], ...(more as object) });
        const path = join(folder, `${size}-${level}-${bytes.length}.zip`);
        await writeFile(path, bytes);
        const spent = { bytes: 0 };

        expect(await readAll(path, "entry", spent)).toBe(text(size));
        expect(await readAll(Buffer.from(bytes), "entry")).toBe(text(size));
        expect(spent.bytes).toBe(size);
      }
});

test("an entry that is longer or shorter than it says is corrupt, and no more of it comes out than it said", async () => {
  const bytes = Buffer.from(zipSync({ entry: strToU8(text(10_000)) }));
  const directory = bytes.indexOf(Buffer.from("PK\x01\x02", "latin1"));
  for (const said of [0, 9_999, 10_001]) {
    bytes.writeUInt32LE(said, directory + 24);
    const spent = { bytes: 0 };

    await expect(readAll(bytes, "entry", spent)).rejects.toMatchObject({ code: "extract.corrupt" });
    expect(spent.bytes).toBeLessThanOrEqual(said);
  }
});

test("an entry whose bytes lie outside of the archive is corrupt", async () => {
  const bytes = Buffer.from(zipSync({ entry: strToU8(text(10_000)) }));
  const directory = bytes.indexOf(Buffer.from("PK\x01\x02", "latin1"));
  bytes.writeUInt32LE(100_000, directory + 20);

  await expect(readAll(bytes, "entry")).rejects.toMatchObject({ code: "extract.corrupt" });
});
