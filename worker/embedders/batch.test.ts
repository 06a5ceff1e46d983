import { afterEach, expect, test, vi } from "vitest";
import { Failure } from "../failure/failure.ts";
import { type EmbeddingServerOptions, startEmbeddingServer } from "../tests/stand-ins/embedding-server.ts";
import { vectorOf } from "../tests/stand-ins/embedding-server-vectors.ts";
import { type BatcherOptions, openBatcher } from "./batch.ts";
import { failureOf } from "./contract.ts";
import type { Embedder } from "./embedder.ts";
import { openOpenAi } from "./openai.ts";
import { openPacer } from "./pacing/pacer.ts";

const tokenizer = { name: "words", count: (text: string) => text.split(/\s+/).length };
const never = new AbortController().signal;
const opened: { close(): Promise<void> }[] = [];

afterEach(async () => {
  for (const part of opened.splice(0).reverse()) await part.close();
});

async function world(server: EmbeddingServerOptions = {}, options: Partial<BatcherOptions> = {}) {
  const provider = await startEmbeddingServer({ dimensions: 1536, ...server });
  const embedder = await openOpenAi({ apiKey: "key", baseUrl: provider.baseUrl, tokenizer }, never);
  const batcher = openBatcher(embedder, { batch: 4, concurrency: 2, ...options });
  opened.push(provider, embedder, batcher);
  return { provider, embedder, batcher };
}

const numbered = (count: number, word = "text") => Array.from({ length: count }, (_, at) => `${word} ${at}`);

test("many texts come back in order, in requests of at most the batch size", async () => {
  const { provider, batcher } = await world();
  const texts = numbered(10);

  const { vectors, tokens } = await batcher.embed(texts, never);

  expect(vectors).toEqual(texts.map((text) => vectorOf(text, 1536)));
  expect(tokens).toBe(20);
  expect(provider.seen).toMatchObject({ requests: 3, texts: 10 });
});

test("equal texts within a call are sent once", async () => {
  const { provider, batcher } = await world();

  const { vectors } = await batcher.embed(["a", "b", "a", "a"], never);

  expect(vectors).toEqual(["a", "b", "a", "a"].map((text) => vectorOf(text, 1536)));
  expect(provider.seen.texts).toBe(2);
});

test("requests of all calls together never exceed the concurrency", async () => {
  const { provider, batcher } = await world({ latencyMs: 20 });

  await Promise.all(numbered(6, "job").map((job) => batcher.embed(numbered(8, job), never)));

  expect(provider.seen.requests).toBe(12);
  expect(provider.seen.most).toBe(2);
});

test("a request never holds more tokens than the provider takes, by their upper bound", async () => {
  const { embedder, provider } = await world();
  const tight = {
    ...embedder,
    limits: { ...embedder.limits, maxTokensPerInput: 50, maxTokensPerRequest: 100 },
  };
  const batcher = openBatcher(tight, { batch: 16, concurrency: 1 });
  opened.push(batcher);

  await batcher.embed(["x".repeat(40), "y".repeat(40), "é".repeat(30), "z".repeat(40)], never);

  expect(provider.seen).toMatchObject({ requests: 2, texts: 4 });
});

test("short texts of many jobs share full requests", async () => {
  const { provider, batcher } = await world({ latencyMs: 20 }, { batch: 8, concurrency: 2 });

  const answers = await Promise.all(
    numbered(32, "job").map((job) => batcher.embed([`${job} a`, `${job} b`], never)),
  );

  expect(provider.seen).toMatchObject({ requests: 8, texts: 64 });
  expect(answers[31]?.vectors).toEqual(["job 31 a", "job 31 b"].map((text) => vectorOf(text, 1536)));
});

test("a text that two jobs ask for at once is sent once and paid by one of them", async () => {
  const { provider, batcher } = await world();

  const [one, two] = await Promise.all([batcher.embed(["same"], never), batcher.embed(["same"], never)]);

  expect(provider.seen.texts).toBe(1);
  expect(one.vectors).toEqual(two.vectors);
  expect(one.tokens + two.tokens).toBe(1);
});

test("an abort of one job leaves the other jobs of its request alone", async () => {
  const { provider, batcher } = await world({ latencyMs: 50 });
  const abort = new AbortController();
  const lost = new Failure("job.lease-lost");

  const leaving = failureOf(batcher.embed(["going"], abort.signal));
  const staying = batcher.embed(["staying"], never);
  await provider.nextRequest();
  abort.abort(lost);

  expect(await leaving).toBe(lost);
  expect((await staying).vectors).toEqual([vectorOf("staying", 1536)]);
  expect(provider.seen.requests).toBe(1);
});

test.each([
  ["the first", 0],
  ["one in the middle", 5],
  ["the last", 8],
])("when %s text is poison, it alone is named", async (_where, bad) => {
  const { provider, batcher } = await world({ poison: "cursed" }, { batch: 9, concurrency: 1 });
  const texts = numbered(9).map((text, at) => (at === bad ? "cursed" : text));

  const failure = await failureOf(batcher.embed(texts, never));

  expect(failure).toMatchObject({ code: "embed.input-rejected", kind: "permanent", facts: { input: bad } });
  expect(provider.seen.requests).toBeLessThanOrEqual(9);
});

test("vectors paid for in a call that failed are not paid for again by its retry", async () => {
  const { provider, batcher } = await world({ poison: "cursed" }, { batch: 4, concurrency: 1 });
  const good = numbered(6);
  await failureOf(batcher.embed([...good, "cursed"], never));
  const before = provider.seen.texts;

  const { vectors, tokens } = await batcher.embed(good.slice(0, 4), never);

  expect(vectors).toEqual(good.slice(0, 4).map((text) => vectorOf(text, 1536)));
  expect(tokens).toBe(0);
  expect(provider.seen.texts).toBe(before);
});

test.each([
  ["rate-limited-window", "embed.rate-limited"],
  ["denied", "embed.denied"],
  ["wrong-dimension", "embed.wrong-dimension"],
] as const)("a request that ends in %s is never halved, nor is anything else asked", async (mode, code) => {
  const { provider, batcher } = await world();
  provider.misbehave(mode);

  const failure = await failureOf(batcher.embed(numbered(4), never));

  expect(failure.code).toBe(code);
  expect(provider.seen.requests).toBe(1);
});

test("after one request of a call has failed, those that wait are not sent", async () => {
  const { provider, batcher } = await world({}, { batch: 1, concurrency: 1 });
  provider.misbehave("denied");

  await failureOf(batcher.embed(numbered(20), never));

  expect(provider.seen.requests).toBe(1);
});

test("a long document does not make a short one wait: jobs take turns in a request", async () => {
  const { provider, batcher } = await world({ latencyMs: 5 }, { batch: 16, concurrency: 1 });
  const long = new AbortController();
  const short = new AbortController();
  const first = provider.nextRequest();
  const longCalls = Array.from({ length: 20 }, (_, at) =>
    batcher.embed(numbered(16, `long ${at}`), long.signal),
  );
  await first;

  const before = provider.seen.requests;
  await batcher.embed(numbered(3, "short"), short.signal);
  const waited = provider.seen.requests - before;
  long.abort(new Failure("worker.stopping"));
  await Promise.allSettled(longCalls);

  // The one under way, and its own; one more may have left before we looked.
  expect(waited).toBeLessThanOrEqual(2);
});

test("when more texts wait than a request needs, one request carries many, up to the most", async () => {
  const { provider, batcher } = await world({ latencyMs: 20 }, { batch: 4, most: 40, concurrency: 2 });

  await Promise.all(numbered(50, "job").map((job) => batcher.embed(numbered(4, job), never)));

  // Two leave at once with four texts each; the others share a few.
  expect(provider.seen.texts).toBe(200);
  expect(provider.seen.requests).toBeLessThanOrEqual(12);
});

test("a request never grows beyond what a proxy lets through", async () => {
  const { embedder, provider } = await world();
  const wide = {
    ...embedder,
    limits: { ...embedder.limits, maxTokensPerInput: 400_000, maxTokensPerRequest: 9e9 },
  };
  const batcher = openBatcher(wide, { batch: 16, concurrency: 1 });
  opened.push(batcher);

  await batcher.embed(
    numbered(4).map((text) => `${text} ${"x".repeat(300_000)}`),
    never,
  );

  expect(provider.seen).toMatchObject({ requests: 2, texts: 4 });
});

test("a text that another job has sent already is not sent again while it is under way", async () => {
  const { provider, batcher } = await world({ latencyMs: 40 }, { batch: 1, concurrency: 4 });
  const arrived = provider.nextRequest();
  const one = batcher.embed(["same"], new AbortController().signal);
  await arrived;

  const other = await batcher.embed(["same"], new AbortController().signal);

  expect(provider.seen.texts).toBe(1);
  expect(other.vectors).toEqual((await one).vectors);
  expect((await one).tokens + other.tokens).toBe(1);
});

test("a text whose first asker left is still there for the second", async () => {
  const { provider, batcher } = await world({ latencyMs: 40 }, { batch: 1, concurrency: 4 });
  const leaving = new AbortController();
  const arrived = provider.nextRequest();
  const one = failureOf(batcher.embed(["same"], leaving.signal));
  await arrived;
  const other = batcher.embed(["same"], never);
  leaving.abort(new Failure("job.lease-lost"));

  expect((await other).vectors).toEqual([vectorOf("same", 1536)]);
  expect((await one).code).toBe("job.lease-lost");
  expect(provider.seen.texts).toBe(1);
});

test("a failed call leaves the calls of other jobs alone", async () => {
  const { batcher } = await world({ poison: "cursed" }, { batch: 2, concurrency: 1 });

  const [bad, good] = await Promise.allSettled([
    batcher.embed(["cursed", "a"], never),
    batcher.embed(["b", "c", "d"], never),
  ]);

  expect(bad.status).toBe("rejected");
  expect(good).toMatchObject({ status: "fulfilled" });
});

test("an empty text is named by its place in the call and costs no request", async () => {
  const { provider, batcher } = await world();

  const failure = await failureOf(batcher.embed(["a", "b", "a", " "], never));

  expect(failure).toMatchObject({ code: "embed.input-rejected", facts: { input: 3 } });
  expect(provider.seen.requests).toBe(0);
});

test("an abort ends the call, its requests in flight and those that wait", async () => {
  const { provider, batcher } = await world({}, { batch: 1, concurrency: 2 });
  provider.misbehave("hang");
  const abort = new AbortController();
  const lost = new Failure("job.lease-lost");

  const call = failureOf(batcher.embed(numbered(8), abort.signal));
  await provider.nextRequest();
  abort.abort(lost);

  expect(await call).toBe(lost);
  expect(provider.seen.requests).toBeLessThanOrEqual(2);
});

test("the next request leaves as soon as an answer is there, before it is read", async () => {
  const { embedder } = await world();
  const texts: string[] = [];
  const reading = Promise.withResolvers<void>();
  const slowReader: Embedder = {
    ...embedder,
    async embed([text = ""], _signal, answered) {
      texts.push(text);
      answered?.();
      await reading.promise;
      return { vectors: [vectorOf(text, 1536)], tokens: 1 };
    },
  };
  const batcher = openBatcher(slowReader, { batch: 1, concurrency: 1 });
  opened.push(batcher);

  const call = batcher.embed(["a", "b"], never);

  await vi.waitFor(() => expect(texts).toEqual(["a", "b"]));
  reading.resolve();
  expect((await call).vectors).toEqual([vectorOf("a", 1536), vectorOf("b", 1536)]);
});

test("the halves of a refused request take no place beside its own", async () => {
  const { provider, batcher } = await world({ poison: "cursed", latencyMs: 5 }, { batch: 4, concurrency: 2 });
  const texts = numbered(40).map((text, at) => (at % 8 === 0 ? `cursed ${at}` : text));

  await Promise.allSettled(texts.map((text) => batcher.embed([text], never)));

  expect(provider.seen.most).toBe(2);
});

test("the vector of a job that left while its request was under way is not paid for again", async () => {
  const { provider, batcher } = await world({ latencyMs: 50 });
  const abort = new AbortController();
  const leaving = failureOf(batcher.embed(["going"], abort.signal));
  const staying = batcher.embed(["staying"], never);
  await provider.nextRequest();
  abort.abort(new Failure("job.lease-lost"));
  await Promise.all([leaving, staying]);

  const { vectors } = await batcher.embed(["going"], never);

  expect(vectors).toEqual([vectorOf("going", 1536)]);
  expect(provider.seen.texts).toBe(2);
});

test("each call hears of the requests that carried its texts, with how many were its own", async () => {
  const { batcher } = await world({ latencyMs: 50 }, { batch: 6, concurrency: 1 });
  const heard: Record<string, object[]> = { one: [], other: [] };
  const hear = (name: string) => (request: object) => void heard[name]?.push(request);

  await Promise.all([
    // Takes the only place, so that the two behind it share the next request however busy the machine is.
    batcher.embedEach(numbered(6, "first"), new AbortController().signal),
    batcher.embedEach(numbered(2, "one"), new AbortController().signal, hear("one")),
    batcher.embedEach(numbered(4, "other"), new AbortController().signal, hear("other")),
  ]);

  const shared = { textsInRequest: 6, tokensInRequest: 12, code: "" };
  expect(heard).toMatchObject({ one: [{ ...shared, texts: 2 }], other: [{ ...shared, texts: 4 }] });
});

test("a call hears of a request that failed, by its code", async () => {
  const { provider, batcher } = await world();
  provider.misbehave("denied");
  const heard: object[] = [];

  const failure = await failureOf(batcher.embedEach(["a", "b"], never, (request) => heard.push(request)));

  expect(heard).toMatchObject([
    { code: failure.code, texts: 2, textsInRequest: 2, tokensInRequest: 0, elapsedMs: expect.any(Number) },
  ]);
});

test("the time is told in which texts wait because the pacer says so, and by what", async () => {
  const held: [string, number][] = [];
  const pacer = openPacer({ provider: "openai", concurrency: 2 });
  const { batcher } = await world({}, { pacer, held: (by, ms) => held.push([by, ms]) });
  const refusal = new Failure("embed.rate-limited", { retryAfterMs: 60 });
  pacer.sends(1).failed(refusal);

  await batcher.embed(["a", "b"], never);

  expect(held).toMatchObject([["asked-to-wait", expect.any(Number)]]);
  expect(held[0]?.[1]).toBeGreaterThan(10);
});

test("close waits for the calls that run and refuses new ones", async () => {
  const { batcher } = await world({ latencyMs: 20 });
  let answered = 0;
  const call = batcher.embed(["a"], never).then(({ vectors }) => {
    answered = vectors.length;
  });

  await batcher.close();
  await batcher.close();

  expect(answered).toBe(1);
  await call;
  expect(await failureOf(batcher.embed(["b"], never))).toMatchObject({ code: "worker.stopping" });
});
