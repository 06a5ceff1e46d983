import { chmod, mkdir, mkdtemp, readdir, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openStorageStandIn } from "../tests/stand-ins/storage.ts";
import { documentAt, MOST_BYTES, never } from "./contract.ts";
import { openSources, type SourcesOptions } from "./open-source.ts";
import { copyToTemporary } from "./temporary-copy.ts";

let base: string;

beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), "open-source-"));
  await writeFile(join(base, "a.txt"), "file");
});

afterEach(() => rm(base, { recursive: true, force: true }));

const open = (changes: Partial<SourcesOptions> = {}) =>
  openSources({
    tempDir: join(base, "copies"),
    maxBytes: MOST_BYTES,
    documentRoot: base,
    storage: null,
    call: async () => ({
      upload: "u",
      part: 0,
      parts: 1,
      byte_size: 7,
      bytes: Buffer.from("inline!").toString("base64"),
    }),
    ...changes,
  });

test("each scheme reaches its own source", async () => {
  const server = await openStorageStandIn();
  server.put("docs", "a.txt", Buffer.from("storage"));
  const sources = await open({ storage: server });

  const sizes = [];
  for (const uri of ["file:///a.txt", "inline:a.txt", "storage://docs/a.txt", "INLINE:a.txt"])
    sizes.push((await sources.fetch(documentAt(uri), never)).byteSize);

  expect(sizes).toEqual([4, 7, 7, 7]);
  await server.close();
});

test("no request is made because a document says so", async () => {
  let requests = 0;
  const server = createServer((_, response) => {
    requests += 1;
    response.end("secret");
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const { port } = server.address() as AddressInfo; // SAFETY: listens on TCP.
  const sources = await open();

  const fetching = sources.fetch(documentAt(`http://127.0.0.1:${port}/latest/meta-data`), never);

  await expect(fetching).rejects.toMatchObject({ code: "source.unsupported", facts: { scheme: "http" } });
  expect(requests).toBe(0);
  await new Promise((closed) => server.close(closed));
});

test.each([
  "https://example.com/a.pdf",
  "ftp://example.com/a.pdf",
  "data:text/plain,hello",
  "s3://bucket/a.pdf",
  "constructor:a",
  "/etc/hostname",
  "C:\\a.txt",
  "a.txt",
  "",
  null,
])("%s is refused", async (uri) => {
  const sources = await open();

  await expect(sources.fetch(documentAt(uri), never)).rejects.toMatchObject({
    code: "source.unsupported",
    kind: "permanent",
  });
});

test.each([
  ["file:///a.txt", "RAG_DOCUMENT_ROOT"],
  ["storage://docs/a.txt", "SUPABASE_URL"],
])("without its setting %s is refused and the setting named", async (uri, setting) => {
  const sources = await open({ documentRoot: null });

  await expect(sources.fetch(documentAt(uri), never)).rejects.toMatchObject({
    code: "source.unsupported",
    message: expect.stringContaining(setting),
  });
});

test("a document root that is not there stops the start", async () => {
  await expect(open({ documentRoot: join(base, "nowhere") })).rejects.toMatchObject({
    code: "config.invalid",
  });
});

test("copies that a crash left a day ago are swept at the start, younger ones and other files are not", async () => {
  const copies = join(base, "copies");
  const longAgo = new Date(Date.now() - 25 * 60 * 60 * 1000);
  for (const name of ["rag-original-old", "rag-original-new", "other"]) {
    await mkdir(join(copies, name), { recursive: true });
    if (name !== "rag-original-new") await utimes(join(copies, name), longAgo, longAgo);
  }

  await open();

  expect((await readdir(copies)).sort()).toEqual(["other", "rag-original-new"]);
});

test.skipIf(process.platform === "win32")(
  "a temporary folder that others may change stops the start",
  async () => {
    await mkdir(join(base, "shared"));
    await chmod(join(base, "shared"), 0o777);
    await symlink(base, join(base, "link"));

    for (const tempDir of [join(base, "shared"), join(base, "link")])
      await expect(open({ tempDir })).rejects.toMatchObject({ code: "config.invalid" });
  },
);

test("a temporary folder that is gone is told, not swallowed", async () => {
  const limits = { tempDir: join(base, "gone"), maxBytes: 1 };

  const copying = copyToTemporary(
    (async function* () {})(),
    { name: "a", declaredMediaType: null },
    limits,
    never,
  );

  await expect(copying).rejects.toMatchObject({ code: "ENOENT" });
});
