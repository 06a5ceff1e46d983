// What every source promises, as one suite that each kind runs over a world of its own.
import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Document } from "../document/document.ts";
import type { Source } from "./source.ts";
import type { CopyLimits } from "./temporary-copy.ts";

export type SourceWorld = {
  readonly source: Source;
  /** Puts bytes under a name and answers a document whose address leads to them. */
  put(name: string, bytes: Uint8Array): Promise<Document>;
  /** A document whose address leads to nothing. */
  missing(): Promise<Document>;
  close(): Promise<void>;
};

export const MOST_BYTES = 3 * 1024 * 1024;

export function documentAt(sourceUri: string | null, id = "00000000-0000-4000-8000-000000000001"): Document {
  return {
    id,
    title: null,
    sourceUri,
    kind: "file",
    version: null,
    mediaType: "text/plain",
    metadata: {},
  };
}

export const never = new AbortController().signal;

export function sourceContract(kind: string, openWorld: (limits: CopyLimits) => Promise<SourceWorld>): void {
  describe(`${kind} source`, () => {
    let tempDir: string;
    let world: SourceWorld;

    beforeEach(async () => {
      tempDir = await mkdtemp(join(tmpdir(), "sources-"));
      world = await openWorld({ tempDir, maxBytes: MOST_BYTES });
    });

    afterEach(async () => {
      await world.close();
      await rm(tempDir, { recursive: true, force: true });
    });

    test("the copy has the bytes, their count and their hash", async () => {
      const bytes = randomBytes(2 * 1024 * 1024 + 17);
      const document = await world.put("notes.txt", bytes);

      const original = await world.source.fetch(document, never);

      expect(bytes.equals(await readFile(original.path))).toBe(true);
      expect(original.byteSize).toBe(bytes.length);
      expect(original.sha256).toBe(createHash("sha256").update(bytes).digest("hex"));
      expect(original).toMatchObject({ name: "notes.txt", declaredMediaType: "text/plain" });
    });

    test("an empty document is a copy without bytes", async () => {
      const document = await world.put("empty.txt", new Uint8Array());

      const original = await world.source.fetch(document, never);

      expect(original.byteSize).toBe(0);
      expect((await readFile(original.path)).length).toBe(0);
    });

    test.skipIf(process.platform === "win32")("nobody else on the machine may read the copy", async () => {
      const document = await world.put("secret.txt", Buffer.from("secret"));

      const original = await world.source.fetch(document, never);

      expect((await stat(original.path)).mode & 0o777).toBe(0o600);
      expect((await stat(join(original.path, ".."))).mode & 0o777).toBe(0o700);
    });

    test("dispose leaves nothing behind, also when called twice", async () => {
      const original = await world.source.fetch(await world.put("a.txt", Buffer.from("a")), never);

      await original.dispose();
      await original.dispose();

      expect(await readdir(tempDir)).toEqual([]);
    });

    test("exactly the largest size is accepted", async () => {
      const document = await world.put("full.bin", Buffer.alloc(MOST_BYTES));

      const original = await world.source.fetch(document, never);

      expect(original.byteSize).toBe(MOST_BYTES);
    });

    test("one byte more is refused and leaves nothing behind", async () => {
      const document = await world.put("big.bin", Buffer.alloc(MOST_BYTES + 1));

      const fetching = world.source.fetch(document, never);

      await expect(fetching).rejects.toMatchObject({ code: "source.too-large" });
      expect(await readdir(tempDir)).toEqual([]);
    });

    test("a document that is not there is not found", async () => {
      const document = await world.missing();

      const fetching = world.source.fetch(document, never);

      await expect(fetching).rejects.toMatchObject({ code: "source.not-found", kind: "permanent" });
      expect(await readdir(tempDir)).toEqual([]);
    });

    test("a signal that has fired already stops the copy with its reason", async () => {
      const document = await world.put("a.txt", Buffer.from("a"));
      const reason = new Error("we are stopping");

      const fetching = world.source.fetch(document, AbortSignal.abort(reason));

      await expect(fetching).rejects.toBe(reason);
      expect(await readdir(tempDir)).toEqual([]);
    });

    test("a signal that fires during the copy stops it and leaves nothing behind", async () => {
      const document = await world.put("long.bin", Buffer.alloc(MOST_BYTES));
      const stopping = new AbortController();
      const reason = new Error("we are stopping");

      const fetching = world.source.fetch(document, stopping.signal);
      setImmediate(() => stopping.abort(reason));

      await expect(fetching).rejects.toBe(reason);
      expect(await readdir(tempDir)).toEqual([]);
    });
  });
}
