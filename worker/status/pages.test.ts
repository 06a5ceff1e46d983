import { afterEach, describe, expect, test } from "vitest";
import { Failure } from "../failure/failure.ts";
import type { WorkerState } from "../queue/worker-state.ts";
import { closeWorlds, openWorld } from "./testing/open-world.ts";
import { someFigures } from "./testing/some-figures.ts";
import { awayProvider } from "./testing/some-pacing.ts";

afterEach(closeWorlds);

describe("/live", () => {
  test("is green while the loop turns, and asks no database", async () => {
    const { ask, asked } = await openWorld({ worker: { condition: "database-lost", loopAgeMs: 59_000 } });

    const answer = await ask("/live");

    expect(answer).toMatchObject({ status: 200, text: '{"status":"live"}\n' });
    expect(asked()).toBe(0);
  });

  test.each<[string, Partial<WorkerState>]>([
    ["stood still for more than a minute", { loopAgeMs: 61_000 }],
    ["has stopped", { condition: "stopped" }],
  ])("is red when the worker %s", async (_what, worker) => {
    const { ask } = await openWorld({ worker });

    const answer = await ask("/live");

    expect(answer.status).toBe(503);
    expect(JSON.parse(answer.text)).toEqual({
      error: { code: "http.not-live", message: expect.any(String) },
    });
  });
});

describe("a llama-server of the worker's own", () => {
  const stopped = { pid: null, rssBytes: null, slots: null, starts: 0, deaths: 0, code: null, says: null };

  test("is on /health with its process", async () => {
    const ready = { ...stopped, state: "ready", pid: 7, rssBytes: 98_000_000, slots: 4, starts: 1 } as const;
    const { ask } = await openWorld({ server: async () => ready });

    const answer = JSON.parse((await ask("/health")).text);

    expect(answer.embedding_server).toMatchObject({
      state: "ready",
      pid: 7,
      rss_bytes: 98_000_000,
      slots: 4,
    });
    expect(answer.checks.provider.status).toBe("ok");
  });

  test("that does not start makes the provider's check say why", async () => {
    const failed = { ...stopped, state: "failed", code: "embed.no-memory", says: "No room." } as const;
    const { ask } = await openWorld({ server: async () => failed });

    const { checks } = JSON.parse((await ask("/health")).text);

    expect(checks.provider).toMatchObject({
      status: "degraded",
      says: expect.stringContaining("embed.no-memory"),
    });
  });
});

describe("/ready", () => {
  test("is green while the worker works", async () => {
    const { ask } = await openWorld();

    expect(await ask("/ready")).toMatchObject({ status: 200, text: '{"status":"ready"}\n' });
  });

  test.each<[Partial<WorkerState>, string]>([
    [{ condition: "database-lost", code: "database.unreachable" }, "database.unreachable"],
    [{ condition: "misconfigured", code: "embed.denied" }, "embed.denied"],
    [{ condition: "stopping" }, "worker.stopping"],
    [{ condition: "stopped" }, "worker.stopped"],
  ])("is red when %j, with a code, and says nothing of where", async (worker, code) => {
    const { ask } = await openWorld({ worker: { ...worker, advice: "at secret-host (port=1)" } });

    const answer = await ask("/ready");

    expect(answer.status).toBe(503);
    expect(JSON.parse(answer.text).error.code).toBe(code);
    expect(answer.text).not.toContain("secret-host");
  });
});

describe("/health", () => {
  test("tells of a provider whose circuit is open, and how it is paced", async () => {
    const { ask } = await openWorld({ worker: { pacing: awayProvider } });

    const health = JSON.parse((await ask("/health")).text);

    expect(health.status).toBe("degraded");
    expect(health.checks.provider.says).toContain("embed.circuit-open");
    expect(health.provider_pacing).toMatchObject({
      breaker: "open",
      in_flight: 2,
      allowed: 3,
      wait_seconds: 8,
    });
  });

  test("tells status, checks, worker, queue and what runs", async () => {
    const { ask } = await openWorld();

    const answer = await ask("/health");

    expect(answer.status).toBe(200);
    expect(JSON.parse(answer.text)).toMatchObject({
      status: "ok",
      checks: {
        database: { status: "ok" },
        horizon: { status: "ok" },
        leases: { status: "ok" },
        provider: { status: "ok" },
        configuration: { status: "ok" },
        memory: { status: "ok" },
      },
      worker: { id: "host/1", condition: "working", jobs: 1, slots: 4, lease_age_seconds: 0.5 },
      queue: { queued: 5, processing: 1 },
      activity: { queue_length: 3, queue_full: false, dropped: 2 },
      database: "embedded",
      version: "1.2.3",
      uptime_seconds: expect.any(Number),
    });
  });

  test("a misconfigured worker is down, with the advice", async () => {
    const worker = {
      condition: "misconfigured",
      code: "embed.denied",
      advice: "Check OPENAI_API_KEY.",
    } as const;
    const { ask } = await openWorld({ worker });

    const answer = await ask("/health");

    expect(answer.status).toBe(503);
    expect(JSON.parse(answer.text)).toMatchObject({
      status: "down",
      checks: { configuration: { status: "down", says: "Check OPENAI_API_KEY." } },
      worker: { code: "embed.denied" },
    });
  });

  test("a database that never answers does not hang the page", async () => {
    const { ask, asked } = await openWorld({ stats: () => new Promise(() => {}) });

    const answers = await Promise.all([ask("/health"), ask("/health"), ask("/metrics")]);

    expect(answers.map((answer) => answer.status)).toEqual([200, 200, 200]);
    expect(JSON.parse(answers[0]?.text ?? "")).toMatchObject({
      status: "degraded",
      checks: { database: { says: expect.stringContaining("did not answer") } },
      queue: null,
    });
    // One question hangs; nobody asks a second one meanwhile.
    expect(asked()).toBe(1);
  });

  test("a database that refuses is told by its code", async () => {
    const { ask } = await openWorld({ stats: () => Promise.reject(new Failure("database.denied")) });

    const answer = await ask("/health");

    expect(JSON.parse(answer.text).checks.database).toEqual({
      status: "degraded",
      says: expect.stringContaining("[database.denied]"),
    });
  });

  test("an answer that is no queue figures is trouble, not a crash", async () => {
    const { ask } = await openWorld({ stats: async () => ({ queued: "many" }) });

    const answer = await ask("/health");

    expect(JSON.parse(answer.text)).toMatchObject({ status: "degraded", queue: null });
  });

  test("a provider that fails and late leases degrade, and a provider that answers again does not", async () => {
    const { ask, activity } = await openWorld();
    activity.say("embeddings.failed", { provider: "openai", code: "embed.unavailable", durationMs: 5 });
    activity.say("leases.late", { lateMs: 4_000 });

    const ill = JSON.parse((await ask("/health")).text);
    activity.say("embeddings.received", {
      provider: "openai",
      model: "m",
      texts: 1,
      tokens: 1,
      durationMs: 5,
    });
    const better = JSON.parse((await ask("/health")).text);

    expect(ill.checks).toMatchObject({
      provider: { status: "degraded", says: expect.stringContaining("[embed.unavailable]") },
      leases: { status: "degraded", says: expect.stringContaining("4.00 s late") },
    });
    expect(better.checks.provider.status).toBe("ok");
  });

  test("a session that holds vacuum back for long degrades, and the sentence says how to end it", async () => {
    const holder = { kind: "session", pid: 4711, name: "report", state: "idle in transaction" } as const;
    const { ask } = await openWorld({
      stats: async () => ({
        ...someFigures,
        oldest_snapshot: { ...holder, seconds: 7_200, transactions: 50_000 },
        oldest_snapshot_seconds: 7_200,
      }),
    });

    const answer = await ask("/health");

    expect(answer.status).toBe(200);
    expect(JSON.parse(answer.text)).toMatchObject({
      status: "degraded",
      checks: {
        horizon: { status: "degraded", says: expect.stringContaining("select pg_terminate_backend(4711);") },
      },
    });
  });

  test("memory above the limit degrades", async () => {
    const { ask } = await openWorld({ memoryBytes: 1 });

    expect(JSON.parse((await ask("/health")).text).checks.memory.status).toBe("degraded");
  });

  test("a page that fails is an answer and a log line, without the reason in it", async () => {
    const { ask, logged } = await openWorld({
      state: () => {
        throw new RangeError("secret-host");
      },
    });

    const answer = await ask("/health");

    expect(answer).toMatchObject({ status: 500 });
    expect(JSON.parse(answer.text).error.code).toBe("unexpected");
    expect(answer.text).not.toContain("secret-host");
    expect(logged()).toContain("status page failed");
  });
});
