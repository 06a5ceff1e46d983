import { randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openStorageStandIn, type StorageStandIn } from "../tests/stand-ins/storage.ts";
import { documentAt, MOST_BYTES, never } from "./contract.ts";
import { removeOriginals } from "./remove-originals.ts";
import { openStorageSource } from "./storage.ts";
import type { StorageAccess } from "./storage-client.ts";
import { asciiPath, uploadOriginal } from "./upload-original.ts";

let server: StorageStandIn;
let tempDir: string;

beforeEach(async () => {
  server = await openStorageStandIn();
  server.put("docs", "acme/handbook.pdf", Buffer.from("first edition"));
  tempDir = await mkdtemp(join(tmpdir(), "uploads-"));
});

afterEach(async () => {
  await server.close();
  await rm(tempDir, { recursive: true, force: true });
});

const access = (): StorageAccess => ({
  url: server.url,
  key: server.key,
  backoff: { firstMs: 1, mostMs: 2 },
});
const upload = async (
  path: string,
  bytes: Uint8Array,
  changes: Partial<StorageAccess> = {},
  bucket = "docs",
) => {
  const file = join(tempDir, "local.bin");
  await writeFile(file, bytes);
  return await uploadOriginal({ ...access(), ...changes }, { bucket, path, file }, never);
};
const fetchObject = (uri: string) =>
  openStorageSource({ ...access(), tempDir, maxBytes: MOST_BYTES }).fetch(documentAt(uri), never);

test("an uploaded file is fetched back by the address it got, whatever its name was", async () => {
  const bytes = randomBytes(200_000);

  const uri = await upload("acme/Übersicht für 2026 日本.pdf", bytes);
  const original = await fetchObject(uri);

  expect(bytes.equals(await readFile(original.path))).toBe(true);
  expect(original.name).toMatch(/^Ubersicht_fur_2026_-[0-9a-f]{8}\.pdf$/);
});

test("an upload that fails once is sent again", async () => {
  server.misbehave("fail-once");

  const uri = await upload("acme/a.bin", Buffer.from("again"));

  expect(uri).toBe("storage://docs/acme/a.bin");
  expect(server.get("docs", "acme/a.bin")?.toString()).toBe("again");
});

test("an upload replaces what is there", async () => {
  await upload("acme/handbook.pdf", Buffer.from("second edition"));

  expect(server.get("docs", "acme/handbook.pdf")?.toString()).toBe("second edition");
});

test("an upload into a bucket that is not there is denied", async () => {
  await expect(upload("a.bin", Buffer.from("a"), {}, "nowhere")).rejects.toMatchObject({
    code: "source.denied",
  });
});

test("an upload with a wrong key is denied at once", async () => {
  await expect(upload("a.bin", Buffer.from("a"), { key: "no" })).rejects.toMatchObject({
    code: "source.denied",
  });
  expect(server.requests).toHaveLength(1);
});

test.each([
  "../other/a.bin",
  "a/../../b.bin",
  "/a.bin",
  "",
])("an upload to %j stays in its bucket", async (path) => {
  const uri = await upload(path, Buffer.from("a")).catch((failure) => failure);

  expect(server.requests.every((route) => route.startsWith("POST /object/docs/"))).toBe(true);
  expect(String(uri)).not.toContain("/../");
});

test("names that look alike in ASCII do not meet", () => {
  expect(asciiPath("a/ä.pdf")).not.toBe(asciiPath("a/à.pdf"));
  expect(asciiPath("a/ä.pdf")).toBe(asciiPath("a/ä.pdf".normalize("NFD")));
  expect(asciiPath("a/plain (1).pdf")).toBe("a/plain (1).pdf");
});

test("objects are removed by their addresses, and one that is gone is as good as removed", async () => {
  const uri = await upload("acme/Übersicht & mehr.pdf", Buffer.from("x"));
  server.put("docs", "stays.txt", Buffer.from("y"));

  expect(await removeOriginals(access(), [uri, "storage://docs/never-there.pdf"], never)).toBe(1);
  expect(await removeOriginals(access(), [uri], never)).toBe(0);
  expect(server.get("docs", "stays.txt")).toBeDefined();
});

test("a removal that fails once is sent again, and an address that is none removes nothing", async () => {
  const uri = await upload("acme/a.pdf", Buffer.from("x"));
  server.misbehave("fail-once");

  expect(await removeOriginals(access(), [uri], never)).toBe(1);
  await expect(removeOriginals(access(), ["storage://docs/../other/x"], never)).rejects.toMatchObject({
    code: "source.not-found",
  });
});
