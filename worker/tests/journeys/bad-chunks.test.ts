// Texts that the provider refuses, and a provider that refuses everything, through the whole worker: who is charged
// an attempt, what is kept, and what a user reads.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { openParts, type Parts } from "../../assemble.ts";
import { readConfig } from "../../config/config.ts";
import { openLog } from "../../log/log.ts";
import {
  type EmbeddingServer,
  type EmbeddingServerOptions,
  startEmbeddingServer,
} from "../stand-ins/embedding-server.ts";

const KEY = "sk-right-0123456789";
// Each starts an embedded database and two workers, one after the other.
vi.setConfig({ testTimeout: 240_000 });
let folder: string;
const opened: { close(): Promise<unknown> }[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "rag-bad-chunks-"));
});
afterAll(() => rm(folder, { recursive: true }));
let world = 0;
beforeEach(() => {
  world += 1;
});
afterEach(async () => {
  for (const part of opened.splice(0).reverse()) await part.close();
});

async function start(server: EmbeddingServerOptions = {}, settings: Record<string, string> = {}) {
  const provider = await startEmbeddingServer({ dimensions: 8, apiKey: KEY, ...server });
  opened.push(provider);
  return { provider, parts: await openWorld(provider, settings) };
}

async function openWorld(provider: EmbeddingServer, settings: Record<string, string>) {
  const config = readConfig({
    RAG_EMBEDDED_DIR: join(folder, `${world}`),
    OPENAI_BASE_URL: provider.baseUrl,
    OPENAI_API_KEY: KEY,
    LLAMA_SERVER_URL: provider.url,
    LLAMA_SERVER_API_KEY: KEY,
    RAG_EMBEDDING_MODEL: "stand-in",
    RAG_EMBEDDING_DIMENSIONS: "8",
    RAG_EMBEDDING_CHAR_LIMIT: "60",
    ...settings,
  });
  const parts = await openParts(config, openLog({ level: "silent", terminal: false, secrets: [] }));
  opened.push(parts);
  return parts;
}

const paragraphs = (name: string, count: number, bad: readonly number[] = []) =>
  Array.from({ length: count }, (_, at) =>
    bad.includes(at)
      ? `cursed paragraph ${at} of ${name}, with words`
      : `paragraph ${at} of ${name}, with a few words`,
  ).join("\n\n");

const enqueue = async (parts: Parts, name: string, content: string) =>
  (
    (await parts.database.call("rag_enqueue", { p_request: { external_id: name, content } })) as {
      job_id: string;
    }
  ).job_id;

type Described = {
  readonly status: string;
  readonly attempts: number;
  readonly error_code: string | null;
  readonly error_detail: string | null;
  readonly total_chunks: number | null;
  readonly rejected_chunks: number;
  readonly rejected: readonly { chunk_index: number; code: string; detail: string }[] | null;
  readonly waits_for: string | null;
  readonly document_id: string;
};
const describeJob = (parts: Parts, id: string) =>
  parts.database.call("rag_describe_job", { p_job_id: id }) as Promise<Described>;

// A busy machine takes its time.
const soon = { timeout: 30_000, interval: 50 };
const workOff = async (parts: Parts) => (await parts.startWorker({ once: true })).ended;

test("a refused chunk fails its document by name, everything else is kept for the retry, neighbours are done", async () => {
  const { provider, parts } = await start({ poison: "cursed" });
  const [before, bad, after] = [
    await enqueue(parts, "before", paragraphs("before", 10)),
    await enqueue(parts, "bad", paragraphs("bad", 30, [17])),
    await enqueue(parts, "after", paragraphs("after", 10)),
  ];

  await workOff(parts);

  const job = await describeJob(parts, bad);
  expect(job).toMatchObject({
    status: "failed",
    error_code: "embed.input-rejected",
    attempts: 1,
    rejected_chunks: 1,
    rejected: [{ chunk_index: 17, code: "embed.input-rejected" }],
  });
  expect(job.error_detail).toContain("chunk=17");
  expect(JSON.stringify(job.rejected)).not.toContain("paragraph");
  for (const id of [before, after])
    expect(await describeJob(parts, id)).toMatchObject({ status: "complete", attempts: 1 });

  const paid = provider.seen.texts;
  await parts.database.call("rag_requeue_jobs", { p_filter: { job_ids: [bad] } });
  await workOff(parts);

  // The canary of the start, the refused chunk, and what finds out whose fault it is: nothing that was paid for.
  expect(provider.seen.texts - paid).toBeLessThanOrEqual(4);
  expect(await describeJob(parts, bad)).toMatchObject({ status: "failed", rejected_chunks: 1 });
});

test("with skip the document goes live without it, and the job, the event and the table say so", async () => {
  const { parts } = await start({ poison: "cursed" }, { RAG_ON_BAD_CHUNK: "skip" });
  const completed: unknown[] = [];
  const stop = parts.activity.listen(
    (name, facts) => void (name === "job.completed" && completed.push(facts)),
  );
  const id = await enqueue(parts, "bad", paragraphs("bad", 30, [0, 29]));

  await workOff(parts);
  stop();

  const job = await describeJob(parts, id);
  expect(job).toMatchObject({ status: "complete", total_chunks: 30, rejected_chunks: 2, error_code: null });
  expect(job.rejected?.map((chunk) => chunk.chunk_index)).toEqual([0, 29]);
  expect(completed).toMatchObject([{ chunks: 30, rejected: 2 }]);
  const hits = (await parts.database.call("rag_search_chunks", {
    p_query_embedding: `[${Array.from({ length: 8 }, () => 1).join(",")}]`,
    p_model: "stand-in",
    p_limit: 100,
    p_filter: { document_ids: [job.document_id] },
  })) as unknown[];
  expect(hits).toHaveLength(28);

  const again = await enqueue(parts, "bad", paragraphs("bad", 30, [0, 29]));
  await workOff(parts);
  expect(await describeJob(parts, again)).toMatchObject({ status: "complete" });
});

test.each([
  ["openai", {}, {}],
  ["llama-server", { poisonMode: "server-error" }, { RAG_EMBEDDING_PROVIDER: "llama-server" }],
] as const)("of 10,000 chunks with 5 that %s refuses 9,995 go live, the 5 are recorded, and few requests were more", async (dialect, wrong, settings) => {
  const cursed = [0, 1, 4321, 4322, 9999];
  const batch = 64;
  const { provider, parts } = await start(
    { dialect, poison: "cursed", ...wrong },
    { RAG_ON_BAD_CHUNK: "skip", RAG_EMBEDDING_BATCH: String(batch), ...settings },
  );
  const id = await enqueue(parts, "long", paragraphs("long", 10_000, cursed));

  await workOff(parts);

  const job = await describeJob(parts, id);
  expect(job).toMatchObject({ status: "complete", attempts: 1, total_chunks: 10_000, rejected_chunks: 5 });
  expect(job.rejected?.map((chunk) => chunk.chunk_index)).toEqual(cursed);
  // The last chunk of all finds its place in a request of its own.
  const full = Math.ceil(10_000 / batch) + 1;
  expect(provider.seen.requests).toBeLessThanOrEqual(full + 5 * (2 * Math.log2(batch) + 1));
});

test("a document of which every chunk is refused fails also with skip", async () => {
  const { parts } = await start({ poison: "cursed" }, { RAG_ON_BAD_CHUNK: "skip" });
  const id = await enqueue(parts, "bad", paragraphs("bad", 2, [0, 1]));

  await workOff(parts);

  expect(await describeJob(parts, id)).toMatchObject({ status: "failed", rejected_chunks: 2 });
});

test("a chunk that makes the server answer 500 ends like one that it refuses", async () => {
  const { parts } = await start({ poison: "cursed", poisonMode: "server-error" });
  const bad = await enqueue(parts, "bad", paragraphs("bad", 20, [5]));
  const good = await enqueue(parts, "good", paragraphs("good", 20));

  await workOff(parts);

  expect(await describeJob(parts, bad)).toMatchObject({ status: "failed", attempts: 1, rejected_chunks: 1 });
  expect(await describeJob(parts, good)).toMatchObject({ status: "complete", attempts: 1 });
});

test.each([
  ["rate-limited-window", "embed.rate-limited", /asked us to slow down/],
  ["server-error", "embed.unavailable", /could not be reached/],
  ["not-json", "embed.bad-answer", /cannot be used/],
] as const)("while the provider answers %s to everything, jobs wait without an attempt and say why", async (mode, code, words) => {
  const { provider, parts } = await start();
  const id = await enqueue(parts, "waiting", paragraphs("waiting", 5));
  const worker = await parts.startWorker();
  // Not before the start, which tries a word of its own.
  provider.misbehave(mode);
  const next = await enqueue(parts, "next", paragraphs("next", 5));
  worker.wake();
  await vi.waitFor(async () => {
    const job = await describeJob(parts, next);
    expect(job).toMatchObject({ status: "queued", attempts: 0, error_code: code });
    expect(job.waits_for).toMatch(words);
  }, soon);
  provider.misbehave("well");
  await worker.stop("test");

  expect((await describeJob(parts, id)).attempts).toBeLessThanOrEqual(1);
});

test("a key that is revoked in mid-run stops the claims, gives the jobs back whole, and nobody is charged", async () => {
  const { provider, parts } = await start();
  const first = await enqueue(parts, "first", paragraphs("first", 5));
  const worker = await parts.startWorker();
  await vi.waitFor(
    async () => expect(await describeJob(parts, first)).toMatchObject({ status: "complete" }),
    soon,
  );

  provider.changeKey("sk-another");
  const ids = await Promise.all(
    Array.from({ length: 6 }, (_, at) => enqueue(parts, `late ${at}`, paragraphs(`late ${at}`, 5))),
  );
  worker.wake();
  await vi.waitFor(
    () => expect(worker.state()).toMatchObject({ condition: "misconfigured", code: "embed.denied", jobs: 0 }),
    soon,
  );

  for (const id of ids) {
    const job = await describeJob(parts, id);
    expect(job).toMatchObject({ status: "queued", attempts: 0, rejected_chunks: 0 });
    expect(JSON.stringify(job)).not.toContain(KEY);
  }
  await worker.stop("test");
});
