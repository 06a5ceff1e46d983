// Alerts as an operator sees them arrive: from a worker, and from the command that tries where they go.
import { afterEach, expect, test, vi } from "vitest";
import { startWebhook } from "../stand-ins/webhook.ts";
import { openDashboardWorld } from "./dashboard-world.ts";
import { openWorld, type RagWorld } from "./rag-process.ts";

vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 });

let world: RagWorld | null = null;
const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  await world?.close();
  for (const close of closers.splice(0)) await close();
});

async function openWebhook(answer?: (number: number) => number | "hang") {
  const webhook = await startWebhook(answer);
  closers.push(webhook.close);
  return webhook;
}

test("a job that fails is told, signed, by a real worker, without its title", async () => {
  const { url, received } = await openWebhook((number) => (number === 0 ? 500 : 200));
  const worker = await openDashboardWorld(0, {
    RAG_ALERT_WEBHOOK_URL: url,
    RAG_ALERT_WEBHOOK_SECRET: "canary-webhook-secret",
    RAG_PUBLIC_URL: "https://rag.example.com",
  });
  closers.push(worker.close);
  // Failures of before the first look are nobody's news: another replica has looked already.
  const patience = { timeout: 90_000, interval: 500 };
  const limits = { job_seconds: 300, queue_seconds: 900, budget_usd: null };
  const seen = { p_worker: "another", p_seen: [], p_limits: limits };
  await worker.call("rag_watch_alerts", seen);

  await worker.enqueue({ source_uri: "file:///gone.md", title: "Secret plans" });
  await vi.waitFor(() => expect(received).toHaveLength(2), patience);

  expect(JSON.parse(received[1]?.body ?? "").data).toEqual({
    alerts: [{ name: "failed-jobs", state: "firing", says: "1 job failed: source.not-found (1)." }],
    link: "https://rag.example.com/",
  });
  expect(received[1]?.headers["webhook-signature"]).toMatch(/^v1,/);
  expect(JSON.stringify(received)).not.toMatch(/Secret|gone\.md|canary/);
});

test("rag alert test sends to each place that is set, and says which of them took it", async () => {
  const good = await openWebhook();
  const bad = await openWebhook(() => 404);
  world = await openWorld();

  const { code, records, out, err } = await world.rag(["alert", "test", "--json"], {
    RAG_ALERT_SLACK_URL: `${good.url}/canary-slack-key`,
    RAG_ALERT_DISCORD_URL: `${bad.url}/canary-discord-key`,
    RAG_PUBLIC_URL: "https://rag.example.com",
  });

  expect(code).toBe(1);
  expect(records).toEqual([
    { channel: "slack", sent: true, reason: null },
    { channel: "discord", sent: false, reason: "refused with 404" },
  ]);
  expect(JSON.parse(good.received[0]?.body ?? "").text).toContain("https://rag.example.com/");
  expect(out + err).not.toContain("canary");
});

test("rag alert test advises by what went wrong", async () => {
  const broken = await openWebhook(() => 500);
  const gone = await startWebhook();
  await gone.close();
  world = await openWorld();

  const { code, err } = await world.rag(["alert", "test"], {
    RAG_ALERT_SLACK_URL: broken.url,
    RAG_ALERT_DISCORD_URL: gone.url,
  });

  expect(code).toBe(1);
  expect(err).toMatch(/^rag: slack answered 500\. It was reached and failed by itself/m);
  expect(err).toMatch(/^rag: discord could not be reached \(ECONNREFUSED\)\. Nothing listens there/m);
});

test("rag alert test says what to set where nothing is", async () => {
  world = await openWorld();

  const { code, err } = await world.rag(["alert", "test"]);

  expect(code).toBe(2);
  expect(err).toContain("RAG_ALERT_SLACK_URL");
});
