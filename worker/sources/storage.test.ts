import { randomBytes } from "node:crypto";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type Misbehaviour, openStorageStandIn, type StorageStandIn } from "../tests/stand-ins/storage.ts";
import { documentAt, MOST_BYTES, never, sourceContract } from "./contract.ts";
import { openStorageSource, storageUri } from "./storage.ts";
import type { StorageAccess } from "./storage-client.ts";

const quick = { backoff: { firstMs: 1, mostMs: 2 }, idleMs: 5000 };

let server: StorageStandIn;
let tempDir: string;

beforeEach(async () => {
  server = await openStorageStandIn();
  server.put("docs", "acme/handbook.pdf", Buffer.from("handbook"));
  tempDir = await mkdtemp(join(tmpdir(), "storage-"));
});

afterEach(async () => {
  await server.close();
  await rm(tempDir, { recursive: true, force: true });
});

const access = (): StorageAccess => ({ url: server.url, key: server.key, ...quick });
const openSource = (changes: Partial<StorageAccess> = {}) =>
  openStorageSource({ ...access(), tempDir, maxBytes: MOST_BYTES, ...changes });
const fetchObject = (uri: string, changes: Partial<StorageAccess> = {}) =>
  openSource(changes).fetch(documentAt(uri), never);

sourceContract("storage", async (limits) => ({
  source: openStorageSource({ ...access(), ...limits }),
  async put(name, bytes) {
    server.put("docs", name, bytes);
    return documentAt(storageUri("docs", name));
  },
  missing: async () => documentAt("storage://docs/no/such/file.txt"),
  close: async () => {},
}));

describe("addresses", () => {
  test.each([
    ["storage://docs/acme/handbook 2.pdf", "acme/handbook 2.pdf"],
    ["storage://docs/acme/handbook%202.pdf", "acme/handbook 2.pdf"],
    ["storage://docs/what?now&then=1;2.pdf", "what?now&then=1;2.pdf"],
  ])("%s is read as the object it names", async (uri, path) => {
    server.put("docs", path, Buffer.from("found"));

    const original = await fetchObject(uri);

    expect(original).toMatchObject({ name: path.split("/").at(-1), byteSize: 5 });
  });

  test.each([
    "storage://docs/../../../rest/v1/secrets",
    "storage://docs/a/../../other/secret.pdf",
    "storage://docs/%2e%2e/%2E%2E/rest/v1/secrets",
    "storage://docs/..%2f..%2frest%2fv1%2fsecrets",
    "storage://../bucket",
    "storage://%2e%2e/bucket",
    "storage://docs/./a.pdf",
    "storage://docs//a.pdf",
    "storage://docs/",
    "storage://docs",
    "storage:///a.pdf",
    "storage:docs/a.pdf",
  ])("%s is refused before any request", async (uri) => {
    await expect(fetchObject(uri)).rejects.toMatchObject({ code: "source.not-found", kind: "permanent" });
    expect(server.requests).toEqual([]);
  });

  test("a backslash or an encoded percent sign never becomes a way out of the bucket", async () => {
    await expect(fetchObject("storage://docs/..\\..\\rest")).rejects.toMatchObject({
      code: "source.not-found",
    });
    await expect(fetchObject("storage://docs/%252e%252e/rest")).rejects.toMatchObject({
      code: "source.not-found",
    });
    expect(server.requests).toEqual([
      "GET /object/info/docs/..%5C..%5Crest",
      "GET /object/info/docs/%252e%252e/rest",
    ]);
  });
});

describe("trouble that passes", () => {
  const large = randomBytes(300_000);

  test.each<Misbehaviour>(["cut-once", "fail-once"])("%s is got over within the same fetch", async (kind) => {
    server.put("docs", "large.bin", large);
    server.misbehave(kind);

    const original = await fetchObject("storage://docs/large.bin");

    expect(large.equals(await readFile(original.path))).toBe(true);
    expect(await readdir(tempDir)).toHaveLength(1);
  });

  test.each<[Misbehaviour, string]>([
    ["cut", "source.unreachable"],
    ["bad-gateway", "source.unreachable"],
    ["overload", "source.unreachable"],
    ["redirect", "source.unreachable"],
    ["wrong-size", "source.changed"],
  ])("%s is given up after four attempts and left to a later one", async (kind, code) => {
    server.put("docs", "large.bin", large);
    server.misbehave(kind);

    await expect(fetchObject("storage://docs/large.bin")).rejects.toMatchObject({ code, kind: "transient" });

    expect(server.requests.filter((route) => route.startsWith("GET /object/info/"))).toHaveLength(4);
    expect(server.requests.join()).not.toContain("elsewhere");
    expect(await readdir(tempDir)).toEqual([]);
  });

  test.each<Misbehaviour>([
    "hang",
    "hang-in-body",
  ])("a server that goes silent (%s) is given up", async (kind) => {
    server.put("docs", "large.bin", large);
    server.misbehave(kind);

    const fetching = fetchObject("storage://docs/large.bin", { idleMs: 50 });

    await expect(fetching).rejects.toMatchObject({ code: "source.unreachable", facts: { silentMs: 50 } });
    expect(await readdir(tempDir)).toEqual([]);
  });

  test.each<Misbehaviour>([
    "hang",
    "hang-in-body",
  ])("stopping ends a wait for a silent server (%s)", async (kind) => {
    server.put("docs", "large.bin", large);
    server.misbehave(kind);
    const stopping = new AbortController();
    const reason = new Error("we are stopping");

    const fetching = openSource().fetch(documentAt("storage://docs/large.bin"), stopping.signal);
    const asked = kind === "hang" ? 1 : 2;
    await vi.waitFor(() => expect(server.requests).toHaveLength(asked));
    stopping.abort(reason);

    await expect(fetching).rejects.toBe(reason);
    expect(await readdir(tempDir)).toEqual([]);
  });

  test("a server that is not there is unreachable", async () => {
    const gone = await openStorageStandIn();
    await gone.close();

    const fetching = fetchObject("storage://docs/acme/handbook.pdf", { url: gone.url });

    await expect(fetching).rejects.toMatchObject({ code: "source.unreachable", kind: "transient" });
  });
});

describe("trouble that does not pass is told apart at once", () => {
  test("a name that Storage does not allow is explained", async () => {
    const fetching = fetchObject("storage://docs/Übersicht.pdf");

    await expect(fetching).rejects.toMatchObject({
      code: "source.not-found",
      message: expect.stringContaining("ASCII"),
    });
  });

  test("a bucket that one document misspells fails that document alone", async () => {
    const fetching = fetchObject("storage://dosc/acme/handbook.pdf");

    await expect(fetching).rejects.toMatchObject({
      code: "source.not-found",
      kind: "permanent",
      message: expect.stringContaining("bucket"),
    });
  });

  test("a key that sees no bucket at all is the operator's trouble", async () => {
    const fetching = fetchObject("storage://docs/acme/handbook.pdf", { key: server.blindKey });

    await expect(fetching).rejects.toMatchObject({ code: "source.denied", kind: "misconfigured" });
  });

  test("a key that is no key is the operator's trouble", async () => {
    const fetching = fetchObject("storage://docs/acme/handbook.pdf", { key: "not-a-key" });

    await expect(fetching).rejects.toMatchObject({
      code: "source.denied",
      facts: { storageCode: "InvalidJWT" },
    });
    expect(server.requests).toHaveLength(1);
  });

  test("an address that is no Supabase project is the operator's trouble", async () => {
    server.misbehave("not-supabase");

    const fetching = fetchObject("storage://docs/acme/handbook.pdf");

    await expect(fetching).rejects.toMatchObject({
      code: "source.denied",
      message: expect.stringContaining("SUPABASE_URL"),
    });
  });

  test("a told size above the limit is refused before any byte is asked for", async () => {
    server.put("docs", "big.bin", Buffer.alloc(MOST_BYTES + 1));

    await expect(fetchObject("storage://docs/big.bin")).rejects.toMatchObject({ code: "source.too-large" });

    expect(server.requests).toEqual(["GET /object/info/docs/big.bin"]);
  });

  test("without a told size the limit holds while reading", async () => {
    server.put("docs", "big.bin", Buffer.alloc(MOST_BYTES + 1));
    server.misbehave("no-size");

    await expect(fetchObject("storage://docs/big.bin")).rejects.toMatchObject({ code: "source.too-large" });

    expect(await readdir(tempDir)).toEqual([]);
  });

  test("neither key nor path is part of what is said", async () => {
    const thrown = await fetchObject("storage://docs/acme/payroll.pdf").catch((failure: unknown) => failure);

    const said = JSON.stringify(thrown) + String(thrown);
    expect(said).not.toContain("payroll");
    expect(said).not.toContain(server.key);
  });
});

test("an object stored compressed may be longer than its told size", async () => {
  server.misbehave("compressed");

  const original = await fetchObject("storage://docs/acme/handbook.pdf");

  expect(original.byteSize).toBe("handbook".length);
});
