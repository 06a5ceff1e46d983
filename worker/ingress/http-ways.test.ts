// Uploads and messages over HTTP, through the real status server into a real database.
import { createHash } from "node:crypto";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { request as httpRequest } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { openLog } from "../log/log.ts";
import { openInlineSource } from "../sources/inline.ts";
import { prepareTempDir } from "../sources/temporary-copy.ts";
import { closeWorlds, openWorld } from "../status/testing/open-world.ts";
import { type Leg, openLeg } from "../tests/contracts/open-databases.ts";
import { openStorageStandIn } from "../tests/stand-ins/storage.ts";
import { openHttpWays } from "./http-ways.ts";

const TOKEN = "canary-token";
const MB = 1024 * 1024;
vi.setConfig({ testTimeout: 60_000 });

let leg: Leg;
let url: string;
let folder: string;
const woken: string[] = [];
const nowhere = { storageBucket: null, supabaseUrl: null, supabaseKey: null };

beforeAll(async () => {
  leg = await openLeg("embedded");
});
afterAll(() => leg.close());
beforeEach(async () => {
  woken.length = 0;
  folder = await mkdtemp(join(tmpdir(), "rag-http-ways-"));
  for (const table of ["rag_ingestion_queue", "rag_documents"])
    await leg.sql.query(`delete from public.${table}`);
  await serve();
});
afterEach(async () => {
  await closeWorlds();
  await rm(folder, { recursive: true, force: true });
});

async function serve(originals: Parameters<typeof openHttpWays>[0]["originals"] = nowhere): Promise<void> {
  const log = openLog({ level: "silent", terminal: false, secrets: [], destination: "stderr" });
  const world = await openWorld({
    token: TOKEN,
    posts: openHttpWays({
      call: leg.database.call,
      log,
      copies: { tempDir: folder, maxBytes: 3 * MB },
      originals,
      prepare: () => prepareTempDir(folder),
      wake: (jobId) => void woken.push(jobId),
    }),
  });
  url = world.server.url;
}

async function post(path: string, body: RequestInit["body"], headers: Record<string, string> = {}) {
  const answer = await fetch(new URL(path, url), {
    method: "POST",
    body: body ?? null,
    headers: { authorization: `Bearer ${TOKEN}`, ...headers },
  });
  return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
}
const JSON_TYPE = { "content-type": "application/json" };
const postJson = (path: string, value: unknown) => post(path, JSON.stringify(value), JSON_TYPE);
const documents = () =>
  leg.sql.query(
    "select id, title, source_uri, tenant_id, user_id, tags, metadata, media_type, byte_size::int from public.rag_documents",
  );
const leftCopies = () => readdir(folder);

/** What a worker would read. */
async function storedBytes(): Promise<string> {
  const [row] = await documents();
  const source = openInlineSource({ tempDir: folder, maxBytes: 100 * MB, call: leg.database.call });
  const original = await source.fetch(
    {
      id: String(row?.id),
      title: null,
      sourceUri: String(row?.source_uri),
      kind: "file",
      version: null,
      mediaType: null,
      metadata: {},
    },
    new AbortController().signal,
  );
  await original.dispose();
  return original.sha256;
}
const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

test("a form with a file becomes a document with its fields, and a job that is woken for", async () => {
  const bytes = new TextEncoder().encode("# Rules\n\nBe kind.\n");
  const form = new FormData();
  form.set("tenant_id", "acme");
  form.set("user_id", "ann");
  form.set("tags", "a, b");
  form.set("metadata", '{"page": 1}');
  form.set("file", new Blob([bytes], { type: "text/markdown" }), "../evil/rules.md");

  const { status, body } = await post("/documents", form);

  expect(status).toBe(202);
  expect(body).toMatchObject({ state: "queued", job_id: woken[0] });
  expect(await documents()).toMatchObject([
    {
      id: body.document_id,
      ...{ title: "rules.md", source_uri: "inline:rules.md", tenant_id: "acme", user_id: "ann" },
      ...{ tags: ["a", "b"], metadata: { page: 1 }, media_type: "text/markdown", byte_size: bytes.length },
    },
  ]);
  expect(await storedBytes()).toBe(sha256(bytes));
  expect(await leftCopies()).toEqual([]);
});

test("a raw body is a file too, larger than one part, named in the address", async () => {
  const bytes = new Uint8Array(2.5 * MB).fill(97);

  const { status } = await post("/documents?name=big%20one.txt&tenant_id=acme", bytes, {
    "content-type": "text/plain",
  });

  expect(status).toBe(202);
  expect(await documents()).toMatchObject([
    { title: "big one.txt", tenant_id: "acme", byte_size: bytes.length },
  ]);
  expect(await storedBytes()).toBe(sha256(bytes));
});

test("the span of whoever sends stays with the job, of a form, of JSON and of a message; nonsense stays out", async () => {
  const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const jobs = async (headers: Record<string, string>) => {
    const raw = await post("/documents?title=a", "text", { "content-type": "text/plain", ...headers });
    const text = await post("/documents", JSON.stringify({ content: "b" }), { ...JSON_TYPE, ...headers });
    const message = {
      subject: "vector.index.request",
      message_id: `m-${headers.traceparent}`,
      data: { entity_type: "task", entity_id: headers.traceparent, content: "c" },
    };
    const told = await post("/messages", JSON.stringify(message), { ...JSON_TYPE, ...headers });
    expect([raw.status, text.status, told.status]).toEqual([202, 202, 202]);
    return await leg.sql.query(
      "select distinct traceparent from public.rag_ingestion_queue order by 1 nulls first",
    );
  };

  const nonsense = await jobs({ traceparent: "00-x" });
  await leg.sql.query("delete from public.rag_ingestion_queue");
  await leg.sql.query("delete from public.rag_documents");

  expect(nonsense).toEqual([{ traceparent: null }]);
  expect(await jobs({ traceparent })).toEqual([{ traceparent }]);
});

test("the same file sent twice is one document, another content of the same name is another", async () => {
  const send = (text: string) => post("/documents?name=a.txt", text, { "content-type": "text/plain" });

  const ids = [await send("one"), await send("one"), await send("two")].map(({ body }) => body.document_id);

  expect(ids[0]).toBe(ids[1]);
  expect(ids[2]).not.toBe(ids[0]);
});

test("an id of the sender's names the document, whatever is in it", async () => {
  const send = (text: string) =>
    post("/documents?name=a.txt&external_id=42", text, { "content-type": "text/plain" });

  await send("one");
  await send("two");

  expect(await documents()).toHaveLength(1);
  expect(await storedBytes()).toBe(sha256(new TextEncoder().encode("two")));
});

test("JSON names an address or carries the text itself", async () => {
  const where = await postJson("/documents", {
    source_uri: "storage://docs/a.pdf",
    tags: ["x"],
    dedupe_key: "k",
  });
  const again = await postJson("/documents", { source_uri: "storage://docs/a.pdf", dedupe_key: "k" });
  const text = await postJson("/documents", { content: "Be kind.", title: "Rules" });

  expect([where.status, again.status, text.status]).toEqual([202, 202, 202]);
  expect(again.body).toMatchObject({ state: "duplicate", job_id: where.body.job_id });
  expect((await documents()).map(({ source_uri }) => source_uri).toSorted()).toEqual([
    "inline:Rules",
    "storage://docs/a.pdf",
  ]);
});

test("with a bucket the bytes go there, under a name of their own", async () => {
  await closeWorlds();
  const storage = await openStorageStandIn();
  try {
    storage.put("docs", "there", new Uint8Array());
    await serve({ storageBucket: "docs", supabaseUrl: storage.url, supabaseKey: storage.key });

    const { status, body } = await post("/documents?name=a.txt", "words", { "content-type": "text/plain" });

    expect(body).toMatchObject({ state: "queued" });
    expect(status).toBe(202);
    expect((await documents())[0]?.source_uri).toMatch(
      /^storage:\/\/docs\/rag-upload\/default\/[0-9a-f]{16}\/a.txt$/,
    );
    const originals = await leg.sql.query("select 1 from public.rag_originals");
    expect(originals).toEqual([]);
  } finally {
    await storage.close();
  }
});

test.each([
  ["an empty file", "", { "content-type": "text/plain" }, 400, "extract.empty"],
  ["a form that is none", "x", { "content-type": "multipart/form-data" }, 400, "ingress.malformed"],
  [
    "a form that ends too early",
    "--b\r\n",
    { "content-type": "multipart/form-data; boundary=b" },
    400,
    "ingress.malformed",
  ],
  ["JSON that is none", "{", JSON_TYPE, 400, "http.invalid-body"],
  ["neither address nor text", "{}", JSON_TYPE, 400, "http.invalid-body"],
  ["both", '{"content":"a","source_uri":"file:///a"}', JSON_TYPE, 400, "http.invalid-body"],
  [
    "an address that leads elsewhere",
    '{"source_uri":"http://169.254.169.254/"}',
    JSON_TYPE,
    400,
    "http.invalid-body",
  ],
  ["a field that nobody knows", '{"content":"a","colection":"b"}', JSON_TYPE, 400, "http.invalid-body"],
  [
    "a document that is not there",
    `{"content":"a","document_id":"${crypto.randomUUID()}"}`,
    JSON_TYPE,
    400,
    "ingress.refused",
  ],
  [
    "a text that no database takes",
    JSON.stringify({ content: "a", run_at: "tomorrow\u0000" }),
    JSON_TYPE,
    400,
    "http.invalid-value",
  ],
  ["a time that is none", '{"content":"a","run_at":"2026-13-45"}', JSON_TYPE, 400, "ingress.refused"],
  [
    "a file above the limit",
    new Uint8Array(3 * MB + 1),
    { "content-type": "text/plain" },
    413,
    "source.too-large",
  ],
] as const)("%s is refused with a code, and leaves nothing", async (_, body, headers, status, code) => {
  const answer = await post("/documents", body as RequestInit["body"], headers);

  expect(answer).toMatchObject({ status, body: { error: { code } } });
  expect(await documents()).toEqual([]);
  expect(await leftCopies()).toEqual([]);
  expect(woken).toEqual([]);
});

test("a file above the limit in a form is refused before it has all come", async () => {
  const form = new FormData();
  form.set("file", new Blob([new Uint8Array(20 * MB)]), "big.bin");

  const answer = await post("/documents", form).catch(() => null);

  // A sender that still writes may find the connection closed instead.
  if (answer !== null) expect(answer).toMatchObject({ status: 413 });
  await vi.waitFor(async () => expect(await leftCopies()).toEqual([]));
  expect(await documents()).toEqual([]);
});

test("a connection that breaks in the middle leaves nothing", async () => {
  const broken = httpRequest(new URL("/documents?name=a.txt", url), {
    method: "POST",
    headers: { authorization: `Bearer ${TOKEN}`, "content-type": "text/plain", "content-length": 1000 },
  });
  broken.on("error", () => {});
  broken.write("half");
  await vi.waitFor(async () => expect(await leftCopies()).toHaveLength(1));

  broken.destroy();

  await vi.waitFor(async () => expect(await leftCopies()).toEqual([]));
  expect(await documents()).toEqual([]);
});

test("without the token nothing is taken, and nothing is read", async () => {
  for (const path of ["/documents", "/messages"])
    expect(await post(path, "{}", { ...JSON_TYPE, authorization: "Bearer wrong" })).toMatchObject({
      status: 401,
    });
});

test("a message gives the same jobs as over NATS, once", async () => {
  const message = {
    subject: "mcp.task.created",
    message_id: "m1",
    data: { entity_id: "1", entity_type: "task", content: "Mow the lawn", user_id: "'; drop table x; --" },
  };

  const first = await postJson("/messages", message);
  const second = await postJson("/messages", message);

  expect(first).toMatchObject({
    status: 202,
    body: {
      message_id: "m1",
      jobs: [{ group: "vector_indexing" }, { group: "relationship_analysis", state: "queued" }],
    },
  });
  expect(second).toMatchObject({ status: 202, body: { jobs: [{}, { state: "duplicate" }] } });
  expect(await leg.sql.query("select kind from public.rag_ingestion_queue order by kind")).toEqual([
    { kind: "document" },
    { kind: "relationships" },
  ]);
});

test.each([
  ["no subject", { message_id: "m", data: {} }, 400, "http.invalid-body"],
  ["a subject of nobody's", { subject: "a.b", message_id: "m", data: {} }, 400, "ingress.unknown-subject"],
  ["no data", { subject: "mcp.task.created", message_id: "m" }, 400, "ingress.malformed"],
  [
    "ids that name nothing",
    {
      subject: "data.sync.request",
      message_id: "m",
      data: { sync_type: "incremental_sync", entity_ids: ["42"] },
    },
    400,
    "ingress.malformed",
  ],
  [
    "a sync of nothing",
    { subject: "data.sync.request", message_id: "m", data: { sync_type: "incremental_sync" } },
    400,
    "ingress.refused",
  ],
])("a message with %s is refused to its sender's face", async (_, message, status, code) => {
  expect(await postJson("/messages", message)).toMatchObject({ status, body: { error: { code } } });
});
