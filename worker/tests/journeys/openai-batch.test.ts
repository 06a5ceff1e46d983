// OpenAI's Batch API through the whole worker: jobs wait without a slot, whatever becomes of the batch, and no text
// is embedded twice.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { openActivity } from "../../activity/activity.ts";
import { openParts, type Parts } from "../../assemble.ts";
import { readConfig } from "../../config/config.ts";
import { openBatchApi } from "../../embedders/openai-batches.ts";
import { openLog } from "../../log/log.ts";
import { openEmbeddingBatches } from "../../pipeline/embedding-batches.ts";
import { lookOnce } from "../../pipeline/llm-batches.ts";
import { type BatchServer, startBatchServer } from "../stand-ins/openai-batches.ts";

const DIMENSIONS = 8;
// Several embedded databases one after the other, on a machine that may be busy.
vi.setConfig({ testTimeout: 240_000, hookTimeout: 240_000 });

let folder: string;
let server: BatchServer;
let parts: Parts;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "rag-batch-test-"));
  server = await startBatchServer({ dimensions: DIMENSIONS });
  parts = await open({});
});
afterEach(async () => {
  await parts.close();
  await server.close();
  await rm(folder, { recursive: true });
});

const open = async (settings: Record<string, string>) =>
  await openParts(
    readConfig({
      RAG_EMBEDDED_DIR: join(folder, ".rag"),
      OPENAI_BASE_URL: server.baseUrl,
      OPENAI_API_KEY: "sk-test",
      RAG_EMBEDDING_MODEL: "stand-in",
      RAG_EMBEDDING_DIMENSIONS: String(DIMENSIONS),
      RAG_PRICES: '{"stand-in": 1000000}',
      RAG_OPENAI_BATCH: "1",
      ...settings,
    }),
    openLog({ level: "silent", terminal: false, secrets: [] }),
  );

const enqueue = async (name: string, content: string) => {
  const request = { external_id: name, tenant_id: "acme", content };
  return ((await parts.database.call("rag_enqueue", { p_request: request })) as { job_id: string }).job_id;
};
const jobOf = async (id: string) =>
  (await parts.database.call("rag_describe_job", { p_job_id: id })) as Record<string, unknown>;
const work = async () => await (await parts.startWorker({ once: true })).ended;

const booked: { tokens: number; costUsd: number }[] = [];
/** What another replica does when it has the turn. */
async function look(worker = "replica"): Promise<void> {
  const api = openBatchApi({
    apiKey: "sk-test",
    baseUrl: server.baseUrl,
    timeoutMs: 5000,
    model: "stand-in",
    dimensions: DIMENSIONS,
  });
  const activity = openActivity();
  await lookOnce(
    openEmbeddingBatches({
      call: parts.database.call,
      activity,
      api,
      ledger: { admit: () => {}, add: (spent) => booked.push(spent) },
      workerId: worker,
      model: "stand-in",
      dimensions: DIMENSIONS,
      priceUsdPerMillionTokens: 500_000,
    }),
    activity,
    new AbortController().signal,
    { gatherMs: 0 },
  );
}

beforeEach(() => {
  booked.length = 0;
});

test("documents go through one batch at half the price: jobs wait without an attempt and complete when it has ended", async () => {
  const one = await enqueue("one", "Four words stand here.");
  const two = await enqueue("two", "Other words stand here.");
  await work();

  const waiting = await jobOf(one);
  expect(waiting).toMatchObject({ status: "queued", attempts: 0, error_code: "embed.batch-pending" });
  expect(String(waiting.waits_for)).toContain("batch");
  await look();
  await work();
  expect(server.batches).toHaveLength(1);
  expect(server.texts()).toHaveLength(2);

  server.end("completed");
  await look();
  await work();

  for (const id of [one, two])
    expect(await jobOf(id)).toMatchObject({
      status: "complete",
      tokens: 4,
      cost_usd: 2,
      processed_chunks: 1,
    });
  expect(booked).toEqual([{ tenantId: "acme", model: "stand-in", tokens: 8, costUsd: 4 }]);
  expect(server.files.size).toBe(0);
  expect(server.texts()).toHaveLength(2);
});

test("a text that is refused fails its own job; one that met an overloaded server goes into the next batch", async () => {
  const good = await enqueue("good", "A good text.");
  const bad = await enqueue("bad", "A bad text.");
  const unlucky = await enqueue("unlucky", "An unlucky text.");
  await work();
  await look();
  server.end("completed", (text) =>
    text.includes("bad") ? "refused" : text.includes("unlucky") ? "overloaded" : "ok",
  );
  await look();
  await work();

  expect(await jobOf(good)).toMatchObject({ status: "complete" });
  expect(await jobOf(bad)).toMatchObject({ status: "failed", error_code: "embed.input-rejected" });
  expect(await jobOf(unlucky)).toMatchObject({ status: "queued", attempts: 0 });
  expect(server.texts().slice(3)).toEqual(["An unlucky text."]);
  server.end("completed");
  await look();
  await work();
  expect(await jobOf(unlucky)).toMatchObject({ status: "complete" });
});

test("what a batch had answered when it expired is kept, and only the rest is sent again", async () => {
  const one = await enqueue("one", "The first text.");
  const two = await enqueue("two", "The second text.");
  await work();
  await look();
  server.end("expired", (text) => (text.includes("first") ? "ok" : null));
  await look();
  await work();

  expect(await jobOf(one)).toMatchObject({ status: "complete" });
  expect(await jobOf(two)).toMatchObject({ status: "queued" });
  expect(server.texts()).toHaveLength(3);
  expect(server.texts().at(-1)).toBe("The second text.");
});

test("a batch whose start was answered into a cut connection is found again and not started twice", async () => {
  await enqueue("one", "Some text.");
  await work();
  server.cutNextAnswer();
  await expect(look()).rejects.toMatchObject({ code: "embed.unavailable" });

  await look();

  expect(server.batches).toHaveLength(1);
  const [row] = (await parts.database
    .call("rag_take_llm_turn", {
      p_worker: "replica",
      p_provider: "openai",
      p_kind: "embeddings",
      p_seconds: 1,
    })
    .then((turn) => (turn as { batches: object[] }).batches)) as {
    state: string;
    provider_batch_id: string;
  }[];
  expect(row).toMatchObject({ state: "submitted", provider_batch_id: server.batches[0]?.id });
});

test("only one replica has the turn", async () => {
  await enqueue("one", "Some text.");
  await work();
  await look("first");
  server.end("completed");

  await look("second");

  expect(server.files.size).toBeGreaterThan(0);
  await look("first");
  expect(server.files.size).toBe(0);
});

test("when every job that wanted it is cancelled the batch is cancelled, and a text that had not left is dropped", async () => {
  const sent = await enqueue("sent", "A text that left.");
  await work();
  await look();
  const kept = await enqueue("kept", "A text that waits.");
  await work();
  await parts.database.call("rag_cancel_jobs", { p_filter: { job_ids: [sent, kept] } });

  await look();

  expect(server.batches[0]?.status).toBe("cancelling");
  expect(server.texts()).toEqual(["A text that left."]);
  server.end("cancelled", () => "ok");
  await look();
  await parts.database.call("rag_requeue_jobs", { p_filter: { job_ids: [sent] } });
  await work();
  expect(await jobOf(sent)).toMatchObject({ status: "complete" });
  expect(server.texts()).toHaveLength(1);
});

test("a batch that is refused as a whole costs its jobs nothing and is not tried again at once", async () => {
  const job = await enqueue("one", "Some text.");
  await work();
  await look();
  server.end("failed");
  await look();
  await look();

  expect(server.batches).toHaveLength(1);
  expect(await jobOf(job)).toMatchObject({ status: "queued", attempts: 0 });
});

test("batches with a chunker that has to ask first are refused in a sentence", async () => {
  await parts.close();
  parts = await open({ RAG_CHUNK_STRATEGY: "semantic" });
  await expect(parts.startWorker({ once: true })).rejects.toMatchObject({
    code: "config.invalid",
    message: expect.stringContaining("semantic"),
  });
});

test("batches without OpenAI are refused in a sentence", async () => {
  await parts.close();
  parts = await open({
    RAG_EMBEDDING_PROVIDER: "embedded",
    RAG_EMBEDDING_MODEL: "",
    RAG_EMBEDDING_DIMENSIONS: "",
  });
  await expect(parts.startWorker({ once: true })).rejects.toMatchObject({
    code: "config.invalid",
    message: expect.stringContaining("RAG_OPENAI_BATCH"),
  });
});
