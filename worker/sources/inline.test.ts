import { randomBytes } from "node:crypto";
import { appendFileSync, writeFileSync } from "node:fs";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { z } from "zod";
import type { SqlCall } from "../document/sql-call.ts";
import { Failure } from "../failure/failure.ts";
import { type Leg, openLeg } from "../tests/contracts/open-databases.ts";
import { World } from "../tests/contracts/world.ts";
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

type Upload = {
  readonly document: string;
  readonly upload: string | null;
  readonly parts: number;
  readonly bytes: Map<number, Buffer>;
};

/** The two functions as the database has them, over a list whose last complete upload is the newest. */
function storedOriginals() {
  const uploads: Upload[] = [];
  const calls: Call[] = [];

  const store = (upload: Upload, part: number, bytes: Buffer) => {
    const known = uploads.find((each) => each.document === upload.document && each.upload === upload.upload);
    if (known === undefined) uploads.push(upload);
    const stored = known ?? upload;
    if (!stored.bytes.has(part)) stored.bytes.set(part, bytes);
    return stored.bytes.size;
  };

  const read = (document: string, upload: string | null, part: number) => {
    const found = uploads.findLast(
      (each) =>
        each.document === document &&
        (upload === null ? each.bytes.size === each.parts : each.upload === upload),
    );
    const bytes = found?.bytes.get(part)?.toString("base64");
    if (found === undefined || bytes === undefined) return null;
    const size = [...found.bytes.values()].reduce((sum, each) => sum + each.length, 0);
    return { upload: found.upload, part, parts: found.parts, byte_size: size, bytes };
  };

  const call: SqlCall = async (name, args, options) => {
    options?.signal?.throwIfAborted();
    calls.push({ name, args });
    const { p_document_id: document, p_upload: upload, p_part: part, ...given } = callArgs.parse(args);
    if (name === "rag_read_original") return read(document, upload, part);
    const bytes = Buffer.from(given.p_bytes ?? "", "base64");
    return store({ document, upload, parts: given.p_parts ?? 0, bytes: new Map() }, part, bytes);
  };
  return { uploads, calls, call };
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

const write = async (bytes: Uint8Array, name = "local.bin") => {
  const path = join(folder, name);
  await writeFile(path, bytes);
  return path;
};

const fetchFrom = (call: SqlCall, at = document) =>
  openInlineSource({ call, tempDir, maxBytes: MOST_BYTES }).fetch(at, never);

const unknown = documentAt("inline:never-stored.txt", "00000000-0000-4000-8000-00000000dead");

sourceContract("inline", async (limits) => {
  const { call } = storedOriginals();
  return {
    source: openInlineSource({ ...limits, call }),
    async put(name, bytes) {
      await storeOriginal(call, ID, await write(bytes));
      return documentAt(`inline:${name}`, ID);
    },
    missing: async () => unknown,
    close: async () => {},
  };
});

describe("over the embedded database", () => {
  let leg: Leg;

  beforeAll(async () => {
    leg = await openLeg("embedded");
  });

  afterAll(() => leg.close());

  sourceContract("inline", async (limits) => {
    const world = await new World(leg).start();
    return {
      source: openInlineSource({ ...limits, call: world.call }),
      async put(name, bytes) {
        const id = await world.document({ content: undefined, source_uri: `inline:${name}` });
        await storeOriginal(world.call, id, await write(bytes));
        return documentAt(`inline:${name}`, id);
      },
      missing: async () => unknown,
      close: async () => {},
    };
  });

  test("the newest complete upload is read, an older one when it comes back", async () => {
    const world = await new World(leg).start();
    const id = await world.document({ content: undefined, source_uri: "inline:a.bin" });
    const sizes = [];

    for (const size of [10, 20, 10]) {
      await storeOriginal(world.call, id, await write(Buffer.alloc(size)));
      sizes.push((await fetchFrom(world.call, documentAt("inline:a.bin", id))).byteSize);
    }

    expect(sizes).toEqual([10, 20, 10]);
  });
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
    expect(originals.uploads).toMatchObject([{ parts: count }]);
  });

  test("storing again after a crash in the middle completes the same upload", async () => {
    const originals = storedOriginals();
    const path = await write(randomBytes(2 * PART_BYTES));
    const crashing: SqlCall = async (name, args) => {
      if (args.p_part === 1) throw new Failure("database.unreachable");
      return await originals.call(name, args);
    };
    await storeOriginal(crashing, ID, path).catch(() => {});

    await storeOriginal(originals.call, ID, path);

    expect(originals.uploads).toHaveLength(1);
    expect((await fetchFrom(originals.call)).byteSize).toBe(2 * PART_BYTES);
  });

  test("a part that changes before it is sent is never stored under the name of the first reading", async () => {
    const originals = storedOriginals();
    const path = await write(Buffer.alloc(2 * PART_BYTES, 1));
    const call: SqlCall = async (name, args) => {
      writeFileSync(path, Buffer.alloc(2 * PART_BYTES, 2));
      return await originals.call(name, args);
    };

    await expect(storeOriginal(call, ID, path)).rejects.toMatchObject({ code: "source.changed" });

    expect(originals.calls).toHaveLength(1);
    await expect(fetchFrom(originals.call)).rejects.toMatchObject({ code: "source.not-found" });
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

  test("an upload that arrives while another is read is not mixed in", async () => {
    const originals = await stored(2 * PART_BYTES);
    const other = await write(randomBytes(3 * PART_BYTES), "other.bin");
    const call: SqlCall = async (name, args) => {
      const answer = await originals.call(name, args);
      if (args.p_part === 0) await storeOriginal(originals.call, ID, other);
      return answer;
    };

    const original = await fetchFrom(call);

    expect(original.sha256).toBe(originals.uploads[0]?.upload);
  });

  test("a part that is gone later means that the upload was dropped", async () => {
    const originals = await stored(2 * PART_BYTES);
    const call: SqlCall = async (name, args) => {
      const answer = await originals.call(name, args);
      originals.uploads[0]?.bytes.clear();
      return answer;
    };

    await expect(fetchFrom(call)).rejects.toMatchObject({ code: "source.changed", kind: "transient" });
    expect(await readdir(tempDir)).toEqual([]);
  });

  test("a told size above the limit is refused after the first part", async () => {
    const originals = await stored(MOST_BYTES + 1);

    await expect(fetchFrom(originals.call)).rejects.toMatchObject({ code: "source.too-large" });
    expect(originals.calls.filter(({ name }) => name === "rag_read_original")).toHaveLength(1);
  });

  const part = { upload: "u", part: 0, parts: 1, byte_size: 3, bytes: "YWJj" };

  test("fewer bytes than told means that the upload changed", async () => {
    await expect(fetchFrom(async () => ({ ...part, byte_size: 4 }))).rejects.toMatchObject({
      code: "source.changed",
    });
  });

  test.each([
    ["no base64", { ...part, bytes: "*not base64*" }],
    ["cut base64", { ...part, bytes: "YWJ" }],
    ["another part", { ...part, part: 7 }],
    ["no part at all", { ...part, parts: 0 }],
    ["nameless", { ...part, upload: null }],
    ["another shape", [part]],
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
