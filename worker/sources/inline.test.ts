import { randomBytes } from "node:crypto";
import { appendFileSync, writeFileSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { z } from "zod";
import type { SqlCall } from "../document/sql-call.ts";
import { Failure } from "../failure/failure.ts";
import { documentAt, MOST_BYTES, never, sourceContract } from "./contract.ts";
import { openInlineSource, PART_BYTES, storeOriginal } from "./inline.ts";

type Call = { readonly name: string; readonly args: Readonly<Record<string, unknown>> };

const callArgs = z.object({
  p_document_id: z.string(),
  p_upload: z.string().nullable(),
  p_part: z.number(),
  p_bytes: z.string().optional(),
  p_parts: z.number().optional(),
});

/** The two functions as the database has them, over a map; `parts` may be tampered with. */
function storedOriginals() {
  const parts = new Map<string, string>();
  const counts = new Map<string, number>();
  const calls: Call[] = [];
  const call: SqlCall = async (name, args, options) => {
    options?.signal?.throwIfAborted();
    calls.push({ name, args });
    const { p_document_id: id, p_part: part, p_bytes: bytes = "", p_parts: count = 0 } = callArgs.parse(args);
    const key = `${id}/${part}`;
    if (name === "rag_store_original") {
      parts.set(key, bytes);
      counts.set(id, count);
      return null;
    }
    const found = parts.get(key);
    return found === undefined ? null : { upload: "u", part, parts: counts.get(id), bytes: found };
  };
  return { parts, counts, calls, call };
}

const ID = "00000000-0000-4000-8000-000000000001";
const document = documentAt("inline:notes.txt", ID);

let folder: string;
let tempDir: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "inline-files-"));
  tempDir = await mkdtemp(join(tmpdir(), "inline-copies-"));
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
  await rm(tempDir, { recursive: true, force: true });
});

const write = async (bytes: Uint8Array) => {
  const path = join(folder, "local.bin");
  await writeFile(path, bytes);
  return path;
};

const fetchFrom = (call: SqlCall, at = document) =>
  openInlineSource({ call, tempDir, maxBytes: MOST_BYTES }).fetch(at, never);

sourceContract("inline", async (limits) => {
  const originals = storedOriginals();
  return {
    source: openInlineSource({ ...limits, call: originals.call }),
    async put(name, bytes) {
      await storeOriginal(originals.call, ID, await write(bytes));
      return documentAt(`inline:${name}`, ID);
    },
    missing: async () => documentAt("inline:never-stored.txt", "00000000-0000-4000-8000-00000000dead"),
    close: async () => {},
  };
});

describe("storing", () => {
  test.each([
    [0, 1],
    [1, 1],
    [PART_BYTES, 1],
    [PART_BYTES + 1, 2],
    [2 * PART_BYTES, 2],
  ])("%i bytes travel in %i parts, in order", async (size, count) => {
    const originals = storedOriginals();

    await storeOriginal(originals.call, ID, await write(randomBytes(size)));

    expect(originals.calls.map(({ args }) => args.p_part)).toEqual([...Array(count).keys()]);
    expect(originals.calls.every(({ args }) => args.p_parts === count)).toBe(true);
  });

  test("storing again gives the same parts", async () => {
    const originals = storedOriginals();
    const path = await write(randomBytes(PART_BYTES + 5));

    await storeOriginal(originals.call, ID, path);
    const first = new Map(originals.parts);
    await storeOriginal(originals.call, ID, path);

    expect(originals.parts).toEqual(first);
  });

  test("a file that grows while it is stored is told", async () => {
    const originals = storedOriginals();
    const path = await write(randomBytes(10));
    const call: SqlCall = async (name, args) => {
      appendFileSync(path, "more");
      return await originals.call(name, args);
    };

    await expect(storeOriginal(call, ID, path)).rejects.toMatchObject({ code: "source.changed" });
  });

  test("a database that is gone ends the storing with its own failure", async () => {
    const call: SqlCall = async () => {
      throw new Failure("database.unreachable");
    };

    await expect(storeOriginal(call, ID, await write(randomBytes(10)))).rejects.toMatchObject({
      code: "database.unreachable",
    });
  });

  test("a file that is replaced by another of the same size never becomes a whole upload", async () => {
    const originals = storedOriginals();
    const path = await write(randomBytes(PART_BYTES + 5));
    const call: SqlCall = async (name, args) => {
      writeFileSync(path, randomBytes(PART_BYTES + 5));
      return await originals.call(name, args);
    };

    await expect(storeOriginal(call, ID, path)).rejects.toMatchObject({ code: "source.changed" });
    expect(originals.calls.map(({ args }) => args.p_part)).toEqual([0]);
  });

  test("all parts of one content are one upload, and of another content another", async () => {
    const originals = storedOriginals();
    await storeOriginal(originals.call, ID, await write(randomBytes(PART_BYTES + 5)));
    await storeOriginal(originals.call, ID, await write(randomBytes(5)));

    const [one, two, three] = originals.calls.map(({ args }) => args.p_upload);

    expect(one).toBe(two);
    expect(three).not.toBe(one);
  });

  test("stopping ends the storing before the next part", async () => {
    const originals = storedOriginals();
    const path = await write(randomBytes(10));

    await expect(
      storeOriginal(originals.call, ID, path, AbortSignal.abort(new Error("stop"))),
    ).rejects.toThrow("stop");
    expect(originals.calls).toEqual([]);
  });
});

describe("reading", () => {
  const stored = async (size: number) => {
    const originals = storedOriginals();
    await storeOriginal(originals.call, ID, await write(randomBytes(size)));
    return originals;
  };

  test("base64 with line breaks, as Postgres writes it, is read", async () => {
    const originals = await stored(1000);
    const path = join(folder, "local.bin");
    originals.parts.set(`${ID}/0`, (originals.parts.get(`${ID}/0`) ?? "").replace(/(.{76})/g, "$1\n"));

    const original = await fetchFrom(originals.call);

    expect((await readFile(path)).equals(await readFile(original.path))).toBe(true);
  });

  test.each([
    ["inline:folder/Übersicht 1.pdf", "Übersicht 1.pdf"],
    ["inline:%C3%9Cbersicht%201.pdf", "Übersicht 1.pdf"],
    ["inline:100%.pdf", "100%.pdf"],
    ["inline:100%25%zz.pdf", "100%25%zz.pdf"],
    ["inline:..%2f..%2fetc%2fpasswd", "passwd"],
    ["inline:", "original"],
  ])("%s is called %s", async (uri, name) => {
    const originals = await stored(3);

    const original = await fetchFrom(originals.call, documentAt(uri, ID));

    expect(original.name).toBe(name);
  });

  test("a part that is gone later means the original was replaced", async () => {
    const originals = await stored(2 * PART_BYTES);
    originals.parts.delete(`${ID}/1`);

    await expect(fetchFrom(originals.call)).rejects.toMatchObject({
      code: "source.changed",
      kind: "transient",
    });
    expect(await readdir(tempDir)).toEqual([]);
  });

  test("a count that changes while parts are read means the original was replaced", async () => {
    const originals = await stored(2 * PART_BYTES);
    const call: SqlCall = async (name, args) => {
      const answer = await originals.call(name, args);
      originals.counts.set(ID, 3);
      return answer;
    };

    await expect(fetchFrom(call)).rejects.toMatchObject({ code: "source.changed" });
  });

  test("a count that is too large is refused after the first part", async () => {
    const originals = await stored(10);
    originals.counts.set(ID, 1_000_000);

    await expect(fetchFrom(originals.call)).rejects.toMatchObject({ code: "source.too-large" });
    expect(originals.calls.filter(({ name }) => name === "rag_read_original")).toHaveLength(1);
  });

  test.each([
    ["no base64", { upload: "u", part: 0, parts: 1, bytes: "*not base64*" }],
    ["cut base64", { upload: "u", part: 0, parts: 1, bytes: "YWJ" }],
    ["another part", { upload: "u", part: 7, parts: 9, bytes: "YWJj" }],
    ["no part at all", { upload: "u", part: 0, parts: 0, bytes: "" }],
    ["another shape", [{ bytes: "YWJj" }]],
  ])("an answer that is %s is never taken for bytes", async (_, answer) => {
    await expect(fetchFrom(async () => answer)).rejects.toMatchObject({ code: "database.rejected" });
    expect(await readdir(tempDir)).toEqual([]);
  });

  test("a database that is gone is the database's failure", async () => {
    const call: SqlCall = async () => {
      throw new Failure("database.unreachable");
    };

    await expect(fetchFrom(call)).rejects.toMatchObject({ code: "database.unreachable" });
    expect(await readdir(tempDir)).toEqual([]);
  });
});
