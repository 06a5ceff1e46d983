import { afterEach, expect, test, vi } from "vitest";
import { Failure } from "../../failure/failure.ts";
import { type EmbeddingServerOptions, startEmbeddingServer } from "../../tests/stand-ins/embedding-server.ts";
import { openBatcher } from "../batch.ts";
import { failureOf } from "../contract.ts";
import { openOpenAi } from "../openai.ts";
import { openPacer, type Pacer } from "./pacer.ts";

const tokenizer = { name: "words", count: (text: string) => text.split(/\s+/).length };
const never = new AbortController().signal;
const opened: { close(): Promise<void> }[] = [];

afterEach(async () => {
  for (const part of opened.splice(0).reverse()) await part.close();
});

const paced = (concurrency = 4, more = {}) => openPacer({ provider: "openai", concurrency, ...more });
const limited = (retryAfterMs?: number) => new Failure("embed.rate-limited", { retryAfterMs });
const away = () => new Failure("embed.unavailable");
const fail = (pacer: Pacer, failure: Failure, times = 1) => {
  for (let at = 0; at < times; at += 1) pacer.sends(1).failed(failure);
};

async function world(server: EmbeddingServerOptions = {}, batch = 1) {
  const provider = await startEmbeddingServer({ dimensions: 8, ...server });
  const { baseUrl } = provider;
  const options = { apiKey: "sk-0123456789", baseUrl, model: "stand-in", dimensions: 8, tokenizer };
  const embedder = await openOpenAi(options, never);
  const pacer = paced(2);
  const batcher = openBatcher(embedder, { batch, concurrency: 2, pacer });
  opened.push(provider, embedder, batcher);
  return { provider, batcher, pacer };
}

test("no more requests are in flight than the configured number", () => {
  const pacer = paced(2);
  const leave = pacer.enter();
  pacer.enter();

  expect(pacer.waitMs()).toBe(Number.POSITIVE_INFINITY);
  leave();
  expect(pacer.waitMs()).toBe(0);
});

test("a refusal halves how many may be in flight, those under way together once, and answers bring it back", () => {
  const pacer = paced(8);
  const together = Array.from({ length: 8 }, () => pacer.sends(1));
  for (const sent of together) sent.failed(limited(1));

  expect(pacer.state().allowed).toBe(4);
  for (let at = 0; at < 40; at += 1) pacer.sends(1).answered(1, null);
  expect(pacer.state().allowed).toBe(8);
});

test.each([
  ["1500 ms", 1500],
  ["an hour", 3_600_000],
])("a provider that says %s is believed", (_said, retryAfterMs) => {
  const pacer = paced();
  fail(pacer, limited(retryAfterMs));

  const { waitMs, limited: by } = pacer.state();

  expect(waitMs).toBeGreaterThan(retryAfterMs - 100);
  expect(waitMs).toBeLessThan(retryAfterMs * 1.11);
  expect(by).toBe("asked-to-wait");
});

test("a provider that refuses without a hint is left alone for longer each time", () => {
  const pacer = paced();
  const waits = Array.from({ length: 4 }, () => {
    fail(pacer, limited());
    return pacer.state().waitMs;
  });

  expect(waits[0]).toBeGreaterThan(200);
  for (const [at, waitMs] of waits.entries()) expect(waitMs).toBeGreaterThan((waits[at - 1] ?? 0) * 1.5);
});

test("jobs are held through a short wait, and given back with the time for a long one", () => {
  const short = paced();
  const long = paced();
  fail(short, limited(2_000));
  fail(long, limited(120_000));

  expect(short.blocked()).toBeNull();
  expect(long.blocked()).toMatchObject({ code: "embed.rate-limited", kind: "waiting" });
  expect(long.blocked()?.retryAfterMs).toBeGreaterThan(119_000);
});

test("three failures in a row open the circuit, and refusals of a rate limit do not", () => {
  const told: unknown[] = [];
  const refused = paced();
  const pacer = paced(4, { away: (failure: Failure) => told.push(failure.code) });
  fail(refused, limited(1), 9);
  fail(pacer, away(), 2);
  expect([refused.state().breaker, pacer.state().breaker]).toEqual(["closed", "closed"]);

  fail(pacer, away());

  expect(pacer.state()).toMatchObject({ breaker: "open", limited: "circuit" });
  expect(pacer.waitMs()).toBeGreaterThan(2_000);
  expect(told).toEqual(["embed.unavailable"]);
});

test("an answer, also one that refuses a text, starts the count of failures anew", () => {
  const pacer = paced();
  fail(pacer, away(), 2);
  fail(pacer, new Failure("embed.input-rejected"));
  fail(pacer, away(), 2);
  pacer.sends(1).answered(1, null);
  fail(pacer, away(), 2);

  expect(pacer.state().breaker).toBe("closed");
});

test("a circuit that was open lets one request try, which closes it or opens it for longer", () => {
  vi.spyOn(performance, "now").mockReturnValue(1_000);
  const later = (ms: number) => vi.mocked(performance.now).mockReturnValue(performance.now() + ms);
  try {
    const told: string[] = [];
    const pacer = paced(4, { back: () => told.push("back") });
    fail(pacer, away(), 3);
    later(60_000);

    expect(pacer.state().breaker).toBe("half-open");
    expect(pacer.waitMs()).toBe(0);
    const leave = pacer.enter();
    expect(pacer.waitMs()).toBe(Number.POSITIVE_INFINITY);
    fail(pacer, away());
    leave();
    expect(pacer.state().breaker).toBe("open");

    later(120_000);
    pacer.sends(1).answered(1, null);
    expect(pacer.state().breaker).toBe("closed");
    expect(told).toEqual(["back"]);
  } finally {
    vi.restoreAllMocks();
  }
});

test("what the provider says of its limits sets the rate, before any refusal", () => {
  const pacer = paced();
  const requests = { limit: 600, remaining: 0, resetMs: 60_000 };
  pacer.sends(1).answered(1, { requests, tokens: null });
  for (let at = 0; at < 20; at += 1) pacer.sends(1);

  expect(pacer.state()).toMatchObject({ limited: "requests", requestsPerMinute: 600 });
  expect(pacer.waitMs()).toBeGreaterThan(1_000);
});

test("a limit per day is not taken for one per minute", () => {
  const pacer = paced();
  // 10,000 a day: one comes back every 8.64 s.
  pacer.sends(1).answered(1, { requests: { limit: 10_000, remaining: 9_999, resetMs: 8_640 }, tokens: null });

  expect(pacer.state().requestsPerMinute).toBeCloseTo(6.9, 1);
  expect(pacer.waitMs()).toBeLessThan(1);
});

test("tokens hold requests back where they are what is short", () => {
  const pacer = paced();
  pacer.sends(5_000).answered(5_000, {
    requests: { limit: 6_000, remaining: 5_999, resetMs: 10 },
    tokens: { limit: 60_000, remaining: 0, resetMs: 60_000 },
  });
  pacer.sends(5_000);

  expect(pacer.state().limited).toBe("tokens");
});

test("a share of the limits is used, and what others were told is heard", async () => {
  const asked: unknown[] = [];
  const pacer = paced(4, {
    askForShare: async (use: unknown) => {
      asked.push(use);
      return { share: 0.25, replicas: 4, blockedMs: 30_000 };
    },
  });
  opened.push(pacer);
  fail(pacer, limited(5));

  await vi.waitFor(() => expect(pacer.state()).toMatchObject({ share: 0.25, replicas: 4 }));
  expect(asked[0]).toMatchObject({ hungry: true });
  expect(pacer.blocked()).toMatchObject({ code: "embed.rate-limited" });
});

test("a database that cannot be asked leaves the last share standing", async () => {
  let answers = 0;
  const pacer = paced(4, {
    askForShare: async () => {
      answers += 1;
      if (answers > 1) throw new Failure("database.unreachable");
      return { share: 0.5, replicas: 2, blockedMs: 0 };
    },
  });
  opened.push(pacer);
  fail(pacer, limited(5));
  await vi.waitFor(() => expect(answers).toBe(1));
  fail(pacer, limited(5));
  await vi.waitFor(() => expect(answers).toBe(2));

  expect(pacer.state().share).toBe(0.5);
});

test("a provider without limits costs the database no statement", async () => {
  const askForShare = vi.fn();
  const pacer = paced(4, { askForShare });
  for (let at = 0; at < 50; at += 1) {
    pacer.waitMs();
    pacer.sends(1).answered(1, null);
  }
  await pacer.close();

  expect(askForShare).not.toHaveBeenCalled();
});

test.each([
  "all",
  "retry-after",
  "none",
] as const)("texts that meet a rate limit (hints: %s) are held and sent when there is room", async (hints) => {
  const { provider, batcher } = await world({ limit: { requestsPerMinute: 1200, burstSeconds: 0.1, hints } });
  const texts = Array.from({ length: 30 }, (_, at) => `text ${at}`);

  const { vectors } = await batcher.embed(texts, never);

  expect(vectors).toHaveLength(30);
  expect(provider.embedded.size).toBe(30);
});

test("one provider's limit does not delay another's", async () => {
  const limitedOne = await world();
  const free = await world();
  limitedOne.provider.misbehave("rate-limited-window");
  const refused = await failureOf(limitedOne.batcher.embed(["a"], never));

  const { vectors } = await free.batcher.embed(["a"], never);

  expect(refused).toMatchObject({ code: "embed.rate-limited" });
  expect(vectors).toHaveLength(1);
  expect(free.pacer.state().limited).toBe("none");
});

test("while a provider wants to be left alone for long, calls are given back at once and nothing is sent", async () => {
  const { provider, batcher } = await world();
  provider.misbehave("rate-limited-window");
  await failureOf(batcher.embed(["a"], never));
  const before = provider.seen.requests;

  const failure = await failureOf(batcher.embed(["b"], never));

  expect(failure).toMatchObject({ code: "embed.rate-limited", kind: "waiting" });
  expect(failure.retryAfterMs).toBeGreaterThan(60_000);
  expect(provider.seen.requests).toBe(before);
});

test("a server that is down is asked a few times, then left alone until its circuit closes", async () => {
  const { provider, batcher, pacer } = await world();
  provider.misbehave("server-error");
  await failureOf(batcher.embed(["a"], never));
  await failureOf(batcher.embed(["b"], never));
  expect(pacer.state().breaker).toBe("open");
  const before = provider.seen.requests;

  const waiting = batcher.embed(["c"], never);
  provider.misbehave("well");

  expect((await waiting).vectors).toHaveLength(1);
  expect(provider.seen.requests).toBe(before + 1);
  expect(pacer.state().breaker).toBe("closed");
}, 20_000);
