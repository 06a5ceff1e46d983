// A llama-server of ours that misbehaves on purpose: what each trouble is called, and that it costs no text but
// the one at fault. The real program has its tests in real-llama.test.ts.
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Failure } from "../../failure/failure.ts";
import { openBatcher } from "../batch.ts";
import { failureOf } from "../contract.ts";
import { type LlamaWorld, lives, openLlamaWorld } from "./testing/llama-world.ts";

const never = new AbortController().signal;
const PATIENCE = { timeout: 40_000, interval: 50 };
let world: LlamaWorld;
beforeEach(async () => {
  world = await openLlamaWorld();
});
afterEach(() => world.close());

const startedPid = async () => (await world.starts()).at(-1)?.pid ?? 0;

describe("a llama-server of ours", () => {
  test("is not started before the first text, and its model is known all the same", async () => {
    const embedder = await world.open("well");

    expect(embedder).toMatchObject({ model: "stand-in", dimensions: 8, provider: "llama-server" });
    expect(await embedder.server?.()).toMatchObject({ state: "stopped", pid: null, starts: 0 });
    expect(await world.starts()).toEqual([]);
  });

  test("is started once by texts that come together, and shows its process", async () => {
    const embedder = await world.open("well");

    await Promise.all(["one", "two", "three"].map((text) => embedder.embed([text], never)));

    const server = await embedder.server?.();
    expect(await world.starts()).toHaveLength(1);
    expect(server).toMatchObject({ state: "ready", pid: await startedPid(), slots: 4, starts: 1 });
    expect(world.news).toMatchObject([{ happened: "started" }]);
  });

  test("listens where only its owner may go, and leaves nothing there", async () => {
    const embedder = await world.open("well");
    await embedder.embed(["text"], never);
    const [start] = await world.starts();
    const path = /--host (\S+)/.exec(start?.args ?? "")?.[1] ?? "";
    const { stat } = await import("node:fs/promises");
    const { mode } = await stat(join(path, ".."));

    await embedder.close();

    expect(path).toMatch(/\.sock$/);
    expect(mode & 0o777).toBe(0o700);
    await expect(stat(join(path, ".."))).rejects.toThrow();
  });

  test("is stopped after a time without texts, and started again by the next", async () => {
    const embedder = await world.open("well", { options: { idleMs: 200 } });
    await embedder.embed(["text"], never);
    const pid = await startedPid();

    await vi.waitFor(
      () => expect(world.news.at(-1)).toMatchObject({ happened: "stopped", why: "idle" }),
      PATIENCE,
    );
    const alive = await lives(pid);
    const { vectors } = await embedder.embed(["text"], never);

    expect(alive).toBe(false);
    expect(vectors).toHaveLength(1);
    expect(await embedder.server?.()).toMatchObject({ state: "ready", starts: 2, deaths: 0 });
  });

  test("ends with the embedder, also when it is still starting", async () => {
    const embedder = await world.open("never-ready");
    const call = failureOf(embedder.embed(["text"], never));
    await vi.waitFor(async () => expect(await world.starts()).toHaveLength(1), PATIENCE);

    await embedder.close();

    expect((await call).code).toBe("worker.stopping");
    expect(await lives(await startedPid())).toBe(false);
  });

  test("is stopped as well when whoever wanted it went before it was ready", async () => {
    const embedder = await world.open("well", { options: { idleMs: 100 } });
    const abort = new AbortController();
    const call = failureOf(embedder.embed(["text"], abort.signal));
    await vi.waitFor(async () => expect(await world.starts()).toHaveLength(1), PATIENCE);

    abort.abort(new Failure("job.lease-lost"));
    await call;

    await vi.waitFor(
      () => expect(world.news.map(({ happened }) => happened)).toEqual(["started", "stopped"]),
      PATIENCE,
    );
  });

  test("goes on starting for others when one caller gives up", async () => {
    const embedder = await world.open("well");
    const lost = new Failure("job.lease-lost");
    const abort = new AbortController();
    const one = failureOf(embedder.embed(["one"], abort.signal));
    const other = embedder.embed(["other"], never);

    abort.abort(lost);

    expect(await one).toBe(lost);
    expect((await other).vectors).toHaveLength(1);
    expect(await world.starts()).toHaveLength(1);
  });
});

describe("a text's vector in company", () => {
  test("is compared before any is believed, and one slot is used where it differs", async () => {
    const embedder = await world.open("unlike-in-batch");

    const together = await embedder.embed(["one", "two"], never);
    const alone = await embedder.embed(["one"], never);

    expect(alone.vectors[0]).toEqual(together.vectors[0]);
    expect(await embedder.server?.()).toMatchObject({ slots: 1 });
  });

  test("that differs with one slot as well is a wrong configuration", async () => {
    const embedder = await world.open("always-unlike");

    const failure = await failureOf(embedder.embed(["one", "two"], never));

    expect(failure).toMatchObject({ code: "embed.model-missing", kind: "misconfigured" });
    expect(failure.message).toContain("another vector inside a batch");
  });
});

describe("a start that fails", () => {
  test("for a flag the program does not know is a wrong configuration in the program's words", async () => {
    const embedder = await world.open("refuses");

    const failure = await failureOf(embedder.embed(["text"], never));

    expect(failure).toMatchObject({ code: "embed.model-missing", kind: "misconfigured" });
    expect(failure.message).toContain("error: invalid argument: --embeddings");
    expect(failure.message).toContain(join(world.folder, "llama-refuses"));
    expect(failure.message).toContain(join(world.folder, "stand-in.gguf"));
  });

  test("for a model of another dimension than its file says is a wrong configuration", async () => {
    const embedder = await world.open("wrong-dimension");

    const failure = await failureOf(embedder.embed(["text"], never));

    expect(failure).toMatchObject({ code: "embed.wrong-dimension", kind: "misconfigured" });
  });

  test("because somebody killed it makes the job wait, without an attempt, until the pause is over", async () => {
    const embedder = await world.open("killed-at-start");

    const failure = await failureOf(embedder.embed(["text"], never));

    expect(failure).toMatchObject({
      code: "embed.server-down",
      kind: "waiting",
      facts: { signal: "SIGKILL" },
    });
    expect(failure.retryAfterMs).toBeGreaterThan(0);
    expect(await embedder.server?.()).toMatchObject({ state: "failed", code: "embed.server-down" });
  });

  test("is tried again after pauses that grow", async () => {
    const embedder = await world.open("killed-at-start");
    const hints: number[] = [];

    for (let time = 0; time < 5; time += 1)
      hints.push((await failureOf(embedder.embed(["text"], never))).retryAfterMs ?? 0);

    expect(hints.at(-1)).toBeGreaterThan(2000);
    // Above two seconds the caller waits elsewhere: the last call has started nothing.
    expect((await world.starts()).length).toBeLessThan(5 + 1);
    expect(world.news.filter(({ happened }) => happened === "not-started").length).toBe(
      (await world.starts()).length,
    );
  });

  test("to answer in time is ended for good, though it does not listen to SIGTERM", async () => {
    const embedder = await world.open("never-ready", { setup: { startupMs: 300, graceSeconds: 1 } });

    const failure = await failureOf(embedder.embed(["text"], never));

    expect(failure).toMatchObject({ code: "embed.server-down", facts: { reason: "not ready in time" } });
    expect(await lives(await startedPid())).toBe(false);
  });

  test("for want of memory makes the job wait", async () => {
    const embedder = await world.open("no-memory");

    const failure = await failureOf(embedder.embed(["text"], never));

    expect(failure).toMatchObject({ code: "embed.no-memory", kind: "waiting" });
    expect(failure.retryAfterMs).toBeGreaterThan(1000);
  });

  test("is not even tried when memory is short", async () => {
    const embedder = await world.open("well", { setup: { freeMemory: async () => 10_000_000 } });

    const failure = await failureOf(embedder.embed(["text"], never));

    expect(failure).toMatchObject({ code: "embed.no-memory", kind: "waiting", facts: { freeMb: 10 } });
    expect(await world.starts()).toEqual([]);
  });
});

describe("a server that dies", () => {
  test("at rest is started again by the next text", async () => {
    const embedder = await world.open("well");
    await embedder.embed(["text"], never);
    process.kill(await startedPid(), "SIGKILL");
    await vi.waitFor(() => expect(world.news.at(-1)).toMatchObject({ happened: "died" }), PATIENCE);

    const { vectors } = await embedder.embed(["text"], never);

    expect(vectors).toHaveLength(1);
    expect(await embedder.server?.()).toMatchObject({ state: "ready", starts: 2, deaths: 1 });
  });

  test("of one text costs that text alone, wherever it stands", async () => {
    const embedder = await world.open("dies-of-poison");
    const batcher = openBatcher(embedder, { batch: 8, concurrency: 2 });
    const good = Array.from({ length: 7 }, (_, at) => `good ${at}`);

    const [bad, neighbours] = await Promise.all([
      failureOf(batcher.embed(["POISON"], never)),
      batcher.embed(good, never),
    ]);
    await batcher.close();

    expect(bad).toMatchObject({ code: "embed.input-rejected", kind: "permanent", facts: { input: 0 } });
    expect(neighbours.vectors).toHaveLength(7);
  });

  test("and is silent is ended, and its texts are sent to the next", async () => {
    const embedder = await world.open("hangs", { options: { timeoutMs: 500 } });

    const failure = await failureOf(embedder.embed(["HANG"], never));
    const { vectors } = await embedder.embed(["well"], never);

    expect(failure).toMatchObject({ code: "embed.input-rejected", facts: { reason: "ends the server" } });
    expect(vectors).toHaveLength(1);
  });
});

describe("a model that we cannot count for", () => {
  test("counts itself, and a text that is too long is refused by name and never cut", async () => {
    const embedder = await world.open("counts-more", { options: { counts: false } });
    const long = "word ".repeat(30).trim();

    const failure = await failureOf(embedder.embed(["short", long, "short too"], never));
    const { vectors } = await embedder.embed(["short", "word ".repeat(20).trim()], never);

    expect(failure).toMatchObject({
      code: "embed.input-rejected",
      facts: { input: 1, tokens: 90, limit: 62 },
    });
    expect(vectors).toHaveLength(2);
  });
});
