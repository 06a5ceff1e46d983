// A day's budget through the whole worker: paid work waits and says why, and goes on when there is money again.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { openParts, type Parts } from "../../assemble.ts";
import { readConfig } from "../../config/config.ts";
import { openLog } from "../../log/log.ts";
import { type EmbeddingServer, startEmbeddingServer } from "../stand-ins/embedding-server.ts";

// Several embedded databases one after the other, on a machine that may be busy.
vi.setConfig({ testTimeout: 240_000, hookTimeout: 240_000 });

let folder: string;
let embedding: EmbeddingServer;
let parts: Parts | null = null;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "rag-budget-"));
  embedding = await startEmbeddingServer({ dimensions: 8 });
});
afterEach(async () => {
  await parts?.close();
  await embedding.close();
  await rm(folder, { recursive: true });
});

async function open(settings: Record<string, string>): Promise<Parts> {
  await parts?.close();
  const config = readConfig({
    RAG_EMBEDDED_DIR: join(folder, ".rag"),
    OPENAI_BASE_URL: embedding.baseUrl,
    RAG_EMBEDDING_MODEL: "stand-in",
    RAG_EMBEDDING_DIMENSIONS: "8",
    ...settings,
  });
  parts = await openParts(config, openLog({ level: "silent", terminal: false, secrets: [] }));
  return parts;
}

const enqueue = async ({ database }: Parts, name: string) => {
  const request = { external_id: name, tenant_id: "acme", content: `Some words about ${name}.` };
  return ((await database.call("rag_enqueue", { p_request: request })) as { job_id: string }).job_id;
};
const jobOf = async ({ database }: Parts, id: string) =>
  (await database.call("rag_describe_job", { p_job_id: id })) as Record<string, unknown>;
const workOnce = async (opened: Parts) => await (await opened.startWorker({ once: true })).ended;

// 4 tokens of a dollar each: one document passes the cap.
const DEAR = { RAG_PRICES: '{"stand-in": 1000000}', RAG_DAILY_BUDGET_USD: "3" };

test("paid work waits for the next day without an attempt, says why, and goes on when the cap is raised", async () => {
  const capped = await open(DEAR);
  const first = await enqueue(capped, "the first");
  await workOnce(capped);
  const second = await enqueue(capped, "the second");
  await workOnce(capped);

  expect(await jobOf(capped, first)).toMatchObject({ status: "complete" });
  const waiting = await jobOf(capped, second);
  expect(waiting).toMatchObject({ status: "queued", attempts: 0, error_code: "embed.budget-spent" });
  expect(String(waiting.waits_for)).toContain("budget");
  expect(embedding.seen.distinct).not.toContain("Some words about the second.");

  const raised = await open({ ...DEAR, RAG_DAILY_BUDGET_USD: "1000" });
  await workOnce(raised);

  expect(await jobOf(raised, second)).toMatchObject({ status: "complete" });
  const [row] = (await raised.database.call("rag_sum_costs", { p_by: ["tenant"] })) as {
    tokens: number;
    cost_usd: number;
  }[];
  expect(row).toMatchObject({ tenant_id: "acme", tokens: row?.cost_usd });
});

test("a provider that costs nothing goes on whatever the cap", async () => {
  const free = await open({ RAG_PRICES: '{"stand-in": 0}', RAG_DAILY_BUDGET_USD: "0" });
  const job = await enqueue(free, "anything");
  await workOnce(free);

  expect(await jobOf(free, job)).toMatchObject({ status: "complete" });
});

test("a cap beside a model whose price nobody knows is refused with the setting that helps", async () => {
  const unknown = await open({ RAG_DAILY_BUDGET_USD: "1" });

  await expect(unknown.startWorker({ once: true })).rejects.toMatchObject({
    code: "config.invalid",
    message: expect.stringContaining("RAG_PRICES"),
  });
});
