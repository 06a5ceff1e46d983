import { afterEach, expect, test } from "vitest";
import type { Tokenizer } from "../document/tokenizer.ts";
import { describeFailure } from "../failure/describe.ts";
import { Failure } from "../failure/failure.ts";
import {
  type EmbeddingServer,
  type EmbeddingServerOptions,
  type Misbehaviour,
  startEmbeddingServer,
} from "../tests/stand-ins/embedding-server.ts";
import { vectorOf } from "../tests/stand-ins/embedding-server-vectors.ts";
import { failureOf } from "./contract.ts";
import { type OpenAiOptions, openOpenAi } from "./openai.ts";

const KEY = "sk-test-0123456789abcdef";
const tokenizer: Tokenizer = { name: "words", count: (text) => text.split(/\s+/).length };
const never = new AbortController().signal;
const opened: { close(): Promise<void> }[] = [];

afterEach(async () => {
  for (const part of opened.splice(0).reverse()) await part.close();
});

async function world(server: EmbeddingServerOptions = {}, options: Partial<OpenAiOptions> = {}) {
  const provider = await startEmbeddingServer({ apiKey: KEY, ...server });
  opened.push(provider);
  return { provider, embedder: await open(provider, options) };
}

async function open(provider: EmbeddingServer, options: Partial<OpenAiOptions> = {}) {
  const embedder = await openOpenAi({ apiKey: KEY, baseUrl: provider.baseUrl, tokenizer, ...options }, never);
  opened.push(embedder);
  return embedder;
}

test("vectors arrive as base64, in order, with the tokens the provider counted", async () => {
  const { provider, embedder } = await world();

  const { vectors, tokens } = await embedder.embed(["one", "two words"], never);

  expect(vectors).toEqual([vectorOf("one", 1536), vectorOf("two words", 1536)]);
  expect(tokens).toBe(3);
  expect(provider.lastBody()).toMatchObject({ encoding_format: "base64", model: "text-embedding-3-small" });
});

test("a server that answers arrays of numbers although base64 was asked for is understood", async () => {
  const { embedder } = await world({ floatsOnly: true });

  const { vectors } = await embedder.embed(["one"], never);

  expect(vectors).toEqual([vectorOf("one", 1536)]);
});

test.each([
  "out-of-order",
  "unnumbered",
] as const)("an answer that is %s still gives each text its own vector", async (mode) => {
  const { provider, embedder } = await world();
  provider.misbehave(mode);

  const { vectors } = await embedder.embed(["a", "b", "c"], never);

  expect(vectors).toEqual(["a", "b", "c"].map((text) => vectorOf(text, 1536)));
});

test("opening a known model asks nobody", async () => {
  const { provider, embedder } = await world({}, { model: "text-embedding-3-large" });

  expect(embedder).toMatchObject({ dimensions: 3072, priceUsdPerMillionTokens: 0.13 });
  expect(provider.seen.requests).toBe(0);
});

test("opening an unknown model learns its dimension from one canary", async () => {
  const { provider, embedder } = await world({ dimensions: 48 }, { model: "nomic-embed-text" });

  expect(embedder).toMatchObject({ dimensions: 48, priceUsdPerMillionTokens: null });
  expect(provider.seen.requests).toBe(1);
});

test("opening an unknown model while its server is down is an outage that may pass", async () => {
  const { provider } = await world();
  await provider.close();

  const failure = await failureOf(open(provider, { model: "nomic-embed-text" }));

  expect(failure).toMatchObject({
    code: "embed.unavailable",
    kind: "transient",
    facts: { reason: "ECONNREFUSED" },
  });
});

test("fewer dimensions are asked for only where the model can shorten its vectors", async () => {
  const { provider, embedder } = await world({}, { dimensions: 256 });
  const local = await open(provider, { model: "nomic-embed-text", dimensions: 1536 });

  const short = await embedder.embed(["a"], never);
  const asked = provider.lastBody();
  await local.embed(["a"], never);

  expect(short.vectors[0]).toHaveLength(256);
  expect(asked).toMatchObject({ dimensions: 256 });
  expect(provider.lastBody()).not.toHaveProperty("dimensions");
});

test("a server without keys is sent no Authorization header", async () => {
  const provider = await startEmbeddingServer();
  opened.push(provider);
  const embedder = await open(provider, { apiKey: null });

  await embedder.embed(["a"], never);

  expect(provider.lastHeaders()).not.toHaveProperty("authorization");
});

const refusals: readonly [Misbehaviour, string, Record<string, unknown>][] = [
  ["rate-limited", "embed.rate-limited", { retryAfterMs: 1500 }],
  ["rate-limited-seconds", "embed.rate-limited", { retryAfterMs: 7000 }],
  ["rate-limited-window", "embed.rate-limited", { retryAfterMs: 62_500 }],
  ["rate-limited-no-hint", "embed.rate-limited", { retryAfterMs: undefined }],
  ["quota-spent", "embed.denied", { kind: "misconfigured" }],
  ["denied", "embed.denied", { kind: "misconfigured" }],
  ["forbidden", "embed.denied", {}],
  ["model-missing", "embed.model-missing", { kind: "misconfigured" }],
  ["bad-dimensions", "embed.wrong-dimension", {}],
  ["request-timeout", "embed.unavailable", {}],
  ["server-error", "embed.unavailable", { kind: "transient" }],
  ["overloaded", "embed.unavailable", { retryAfterMs: 3000 }],
  ["html", "embed.unavailable", {}],
  ["html-error", "embed.unavailable", {}],
  ["html-bad-request", "embed.unavailable", {}],
  ["reset", "embed.unavailable", {}],
  ["hang", "embed.unavailable", { facts: { reason: "timeout" } }],
  ["hang-in-body", "embed.unavailable", { facts: { reason: "timeout" } }],
  ["cut-body", "embed.bad-answer", { kind: "transient" }],
  ["not-json", "embed.bad-answer", {}],
  ["other-shape", "embed.bad-answer", {}],
  ["wrong-count", "embed.bad-answer", {}],
  ["twice-the-same-index", "embed.bad-answer", {}],
  ["nan", "embed.bad-answer", {}],
  ["null-number", "embed.bad-answer", {}],
  ["zero-vector", "embed.bad-answer", {}],
  ["wrong-dimension", "embed.wrong-dimension", { kind: "misconfigured" }],
];

test.each(
  refusals,
)("a provider that answers %s is reported as %s, once, without key or text", async (mode, code, more) => {
  const { provider, embedder } = await world({}, { timeoutMs: 300 });
  provider.misbehave(mode);

  const failure = await failureOf(embedder.embed(["a secret text", "another"], never));

  expect(failure).toMatchObject({ code, ...more });
  expect(provider.seen.requests).toBe(1);
  const everything = `${describeFailure(failure)} ${JSON.stringify(failure.facts)} ${String(failure.cause)}`;
  expect(everything).not.toMatch(/sk-|secret|another/);
});

test("a text the provider refuses is the text's fault, not an outage", async () => {
  const { embedder } = await world({ poison: "cursed" });

  const failure = await failureOf(embedder.embed(["fine", "cursed"], never));

  expect(failure).toMatchObject({ code: "embed.input-rejected", kind: "permanent" });
});

test("a text longer than the provider reads by its own count is the text's fault", async () => {
  const { embedder } = await world({ maxWords: 3 });

  const failure = await failureOf(embedder.embed(["one two three four"], never));

  expect(failure.code).toBe("embed.input-rejected");
});

test.each([
  ["an empty text", "", 1],
  ["white space", " \n\t", 1],
  ["a text above the limit", "x ".repeat(9000), 1],
])("%s is refused before anything is sent, and named", async (_what, text, input) => {
  const { provider, embedder } = await world();

  const failure = await failureOf(embedder.embed(["fine", text], never));

  expect(failure).toMatchObject({ code: "embed.input-rejected", facts: { input } });
  expect(provider.seen.requests).toBe(0);
});

test("more texts than one request may hold is the caller's mistake", async () => {
  const { embedder } = await world({}, { limits: { maxItems: 2 } });

  await expect(embedder.embed(["a", "b", "c"], never)).rejects.toThrow(RangeError);
});

test("a key with a line break is refused at once and not repeated", async () => {
  const { provider } = await world();

  const failure = await failureOf(open(provider, { apiKey: `${KEY}\n` }));

  expect(failure.code).toBe("embed.denied");
  expect(describeFailure(failure)).not.toContain(KEY);
});

test("an abort ends a request that hangs, with the reason of whoever aborted", async () => {
  const { provider, embedder } = await world();
  provider.misbehave("hang");
  const abort = new AbortController();
  const lost = new Failure("job.lease-lost");

  const request = failureOf(embedder.embed(["a"], abort.signal));
  await provider.nextRequest();
  abort.abort(lost);

  expect(await request).toBe(lost);
});

test("closing ends a request that hangs, and refuses later ones", async () => {
  const { provider, embedder } = await world();
  provider.misbehave("hang");

  const request = failureOf(embedder.embed(["a"], never));
  await provider.nextRequest();
  await embedder.close();
  await embedder.close();

  expect(await request).toMatchObject({ code: "worker.stopping" });
  expect(await failureOf(embedder.embed(["a"], never))).toMatchObject({ code: "worker.stopping" });
});
