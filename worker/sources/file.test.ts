import { execFileSync } from "node:child_process";
import { appendFileSync, renameSync, symlinkSync, truncateSync, unlinkSync, writeFileSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rename, rm, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { documentAt, MOST_BYTES, never, sourceContract } from "./contract.ts";
import { fileUri, openFileSource } from "./file.ts";

let base: string;
let root: string;
let tempDir: string;

beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), "document-root-"));
  root = join(base, "root");
  tempDir = join(base, "copies");
  await mkdir(root);
  await mkdir(tempDir);
  await mkdir(join(base, "outside"));
  await writeFile(join(base, "outside", "secret.txt"), "secret");
  await writeFile(join(root, "inside.txt"), "inside");
});

afterEach(() => rm(base, { recursive: true, force: true }));

const fetchFile = async (uri: string, signal = never) => {
  const source = await openFileSource({ root, tempDir, maxBytes: MOST_BYTES });
  return await source.fetch(documentAt(uri), signal);
};

sourceContract("file", async (limits) => ({
  source: await openFileSource({ ...limits, root }),
  async put(name, bytes) {
    await writeFile(join(root, name), bytes);
    return documentAt(fileUri(root, join(root, name)));
  },
  missing: async () => documentAt("file:///no/such/file.txt"),
  close: async () => {},
}));

describe("addresses below the root", () => {
  test.each([
    "plain.txt",
    "with space.txt",
    "Übersicht/日本語 ✓.md",
    "what?#is%this.txt",
    "a..b/...c.txt",
    "%2e%2e.txt",
  ])("the address of %s leads back to it", async (name) => {
    const path = join(root, name);
    await mkdir(join(path, ".."), { recursive: true });
    await writeFile(path, name);

    const original = await fetchFile(fileUri(root, path));

    expect(original.name).toBe(name.split("/").at(-1));
    expect(original.byteSize).toBe(Buffer.byteLength(name));
  });

  test("an address is plain ASCII, encoded once", () => {
    const uri = fileUri("/docs", "/docs/Ü 1/a#b.pdf");

    expect(uri).toBe("file:///%C3%9C%201/a%23b.pdf");
  });

  test("an address that an application wrote unencoded is read as it stands", async () => {
    await writeFile(join(root, "müde #1?.txt"), "x");

    const original = await fetchFile("file:///müde #1?.txt");

    expect(original.name).toBe("müde #1?.txt");
  });

  test("a link to a file inside the root is followed", async () => {
    await symlink(join(root, "inside.txt"), join(root, "link.txt"));

    const original = await fetchFile("file:///link.txt");

    expect(original.byteSize).toBe("inside".length);
  });

  test("a root that is itself a link serves its files", async () => {
    await symlink(root, join(base, "root-link"));
    const source = await openFileSource({ root: join(base, "root-link"), tempDir, maxBytes: MOST_BYTES });

    const original = await source.fetch(documentAt("file:///inside.txt"), never);

    expect(original.byteSize).toBe("inside".length);
  });

  test.each(["../outside/secret.txt", "/etc/hostname", ""])("%s has no address", (path) => {
    expect(() => fileUri("/docs/root", path)).toThrow(
      expect.objectContaining({ code: "source.outside-root" }),
    );
  });
});

describe("what would leave the root is refused", () => {
  test.each([
    "file:///../outside/secret.txt",
    "file:///a/../../outside/secret.txt",
    "file:///inside.txt/../../outside/secret.txt",
    "file:///%2e%2e/outside/secret.txt",
    "file:///%2E./outside/secret.txt",
    "file:///..%2foutside%2fsecret.txt",
    "file:///..%5coutside%5csecret.txt",
    "file:///..\\outside\\secret.txt",
    "file:///inside.txt%00.pdf",
    "file:////etc/hostname",
    "file://///etc/hostname",
    "file://localhost/etc/hostname",
    "file://server/share/secret.txt",
    "file:/etc/hostname",
    "file:etc/hostname",
    "file:///C:/Windows/win.ini",
    "file:///c%3A/Windows/win.ini",
    "file:///C:win.ini",
    "FILE:///inside.txt",
    "file:///./inside.txt",
  ])("%s", async (uri) => {
    await expect(fetchFile(uri)).rejects.toMatchObject({ code: "source.outside-root", kind: "permanent" });
    expect(await readdir(tempDir)).toEqual([]);
  });

  test("a path that is absolute inside the address stays below the root", async () => {
    await expect(fetchFile(`file:///${join(base, "outside", "secret.txt").slice(1)}`)).rejects.toMatchObject({
      code: "source.not-found",
    });
  });

  test("a link to a file outside", async () => {
    await symlink(join(base, "outside", "secret.txt"), join(root, "link.txt"));

    await expect(fetchFile("file:///link.txt")).rejects.toMatchObject({ code: "source.outside-root" });
  });

  test("a link to a folder outside, without a word about what it is", async () => {
    await symlink(join(base, "outside"), join(root, "link"));

    await expect(fetchFile("file:///link")).rejects.toMatchObject({ code: "source.outside-root" });
  });

  test("a file behind a linked folder that leads outside", async () => {
    await symlink(join(base, "outside"), join(root, "folder"));

    await expect(fetchFile("file:///folder/secret.txt")).rejects.toMatchObject({
      code: "source.outside-root",
    });
  });

  test("a folder whose name only begins like the root's", async () => {
    await mkdir(join(base, "root-other"));
    await writeFile(join(base, "root-other", "secret.txt"), "secret");
    await symlink(join(base, "root-other", "secret.txt"), join(root, "link.txt"));

    await expect(fetchFile("file:///link.txt")).rejects.toMatchObject({ code: "source.outside-root" });
  });

  describe("also when it is put in the way between the look and the opening", () => {
    const LOOKED = 2; // the source asks the signal once at the start, and once before it opens

    test("a folder that becomes a link", async () => {
      await mkdir(join(root, "folder"));
      await writeFile(join(root, "folder", "secret.txt"), "harmless");
      const signal = signalCalling(LOOKED, () => {
        renameSync(join(root, "folder"), join(root, "kept"));
        symlinkSync(join(base, "outside"), join(root, "folder"));
      });

      await expect(fetchFile("file:///folder/secret.txt", signal)).rejects.toMatchObject({
        code: "source.outside-root",
      });
    });

    test("a file that becomes a link", async () => {
      const signal = signalCalling(LOOKED, () => {
        unlinkSync(join(root, "inside.txt"));
        symlinkSync(join(base, "outside", "secret.txt"), join(root, "inside.txt"));
      });

      await expect(fetchFile("file:///inside.txt", signal)).rejects.toMatchObject({
        code: "source.not-found",
      });
    });

    test.skipIf(process.platform === "win32")("a file that becomes a FIFO", async () => {
      const signal = signalCalling(LOOKED, () => {
        unlinkSync(join(root, "inside.txt"));
        execFileSync("mkfifo", [join(root, "inside.txt")]);
      });

      await expect(fetchFile("file:///inside.txt", signal)).rejects.toMatchObject({
        code: "source.unsupported",
      });
    });
  });
});

describe("what is not a file of its own is refused without waiting", () => {
  test.each(["file:///", "file:///folder", "file:///folder/"])("%s names a folder", async (uri) => {
    await mkdir(join(root, "folder"));

    await expect(fetchFile(uri)).rejects.toMatchObject({ code: "source.unsupported" });
  });

  test.skipIf(process.platform === "win32")("a FIFO", async () => {
    execFileSync("mkfifo", [join(root, "pipe")]);

    await expect(fetchFile("file:///pipe")).rejects.toMatchObject({ code: "source.unsupported" });
  });

  test.skipIf(process.platform === "win32")("a socket", async () => {
    const server = createServer();
    await new Promise<void>((listening) => server.listen(join(root, "socket"), listening));

    await expect(fetchFile("file:///socket")).rejects.toMatchObject({ code: "source.unsupported" });

    await new Promise((closed) => server.close(closed));
  });

  test.each([
    ["a ring of links", "ring", "source.not-found"],
    ["a link to nothing", "dangling", "source.not-found"],
    ["a path through a file", "inside.txt/more.txt", "source.not-found"],
    ["a name longer than any file system takes", "x".repeat(5000), "source.not-found"],
    ["a percent sign that encodes nothing", "100%.txt", "source.not-found"],
  ])("%s", async (_, name, code) => {
    await symlink(join(root, "ring"), join(root, "ring"));
    await symlink(join(root, "nowhere"), join(root, "dangling"));

    await expect(fetchFile(`file:///${name}`)).rejects.toMatchObject({ code, kind: "permanent" });
  });
});

describe("what changes meanwhile", () => {
  const FIRST_CHUNK = 4;
  const busyBytes = 2 * 1024 * 1024;

  test.each([
    ["grows", (path: string) => appendFileSync(path, "more")],
    ["shrinks", (path: string) => truncateSync(path, busyBytes - 1)],
    ["is rewritten in the same length", (path: string) => writeFileSync(path, Buffer.alloc(busyBytes, 2))],
  ])("a file that %s while it is read is tried again later", async (_, change) => {
    const path = join(root, "busy.bin");
    await writeFile(path, Buffer.alloc(busyBytes, 1));
    const signal = signalCalling(FIRST_CHUNK, () => change(path));

    await expect(fetchFile("file:///busy.bin", signal)).rejects.toMatchObject({
      code: "source.changed",
      kind: "transient",
    });

    expect(await readdir(tempDir)).toEqual([]);
  });

  test("a root that is gone is the operator's trouble, not each document's", async () => {
    const source = await openFileSource({ root, tempDir, maxBytes: MOST_BYTES });
    await rename(root, join(base, "moved"));
    await mkdir(root);

    const fetching = source.fetch(documentAt("file:///inside.txt"), never);

    await expect(fetching).rejects.toMatchObject({ code: "config.invalid", kind: "misconfigured" });
  });
});

describe("a root that cannot serve stops the start", () => {
  test.each(["nowhere", "root/inside.txt"])("%s", async (name) => {
    const opening = openFileSource({ root: join(base, name), tempDir, maxBytes: MOST_BYTES });

    await expect(opening).rejects.toMatchObject({ code: "config.invalid" });
  });
});

/** A signal that never fires and acts when it is asked for the given time: in the middle of a copy. */
function signalCalling(time: number, act: () => void): AbortSignal {
  let asked = 0;
  return Object.assign(new AbortController().signal, {
    throwIfAborted() {
      asked += 1;
      if (asked === time) act();
    },
  });
}
