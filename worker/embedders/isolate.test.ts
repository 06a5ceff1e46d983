import { afterEach, expect, test } from "vitest";
import {
  type EmbeddingServerOptions,
  type Misbehaviour,
  startEmbeddingServer,
} from "../tests/stand-ins/embedding-server.ts";
import { vectorOf } from "../tests/stand-ins/embedding-server-vectors.ts";
import { type BatcherOptions, openBatcher } from "./batch.ts";
import { failureOf } from "./contract.ts";
import { openLlamaServer } from "./llama-server.ts";
import { openOpenAi } from "./openai.ts";

const tokenizer = { name: "words", count: (text: string) => text.split(/\s+/).length };
const never = new AbortController().signal;
const opened: { close(): Promise<void> }[] = [];
const DIMENSIONS = 8;
const TIMEOUT_MS = 400;

afterEach(async () => {
  for (const part of opened.splice(0).reverse()) await part.close();
});

async function world(server: EmbeddingServerOptions, options: Partial<BatcherOptions> = {}) {
  const provider = await startEmbeddingServer({ dimensions: DIMENSIONS, ...server });
  const llama = server.dialect === "llama-server";
  const embedder = llama
    ? await openLlamaServer(
        { url: provider.url, timeoutMs: TIMEOUT_MS, tokenizer: async () => tokenizer },
        never,
      )
    : await openOpenAi(
        {
          apiKey: "sk-0123456789",
          baseUrl: provider.baseUrl,
          model: "stand-in",
          dimensions: DIMENSIONS,
          timeoutMs: TIMEOUT_MS,
          tokenizer,
        },
        never,
      );
  const batcher = openBatcher(embedder, { batch: 16, concurrency: 2, ...options });
  opened.push(provider, embedder, batcher);
  return { provider, embedder, batcher };
}

const numbered = (count: number) => Array.from({ length: count }, (_, at) => `text ${at}`);

test.each([
  "openai",
  "llama-server",
] as const)("of 10,000 inputs with 5 poison ones, %s embeds 9,995 at few requests more, and the 5 are named", async (dialect) => {
  const poisonMode: Misbehaviour | undefined = dialect === "openai" ? undefined : "server-error";
  const { provider, batcher } = await world({ dialect, poison: "cursed", ...(poisonMode && { poisonMode }) });
  const bad = new Set([0, 1_234, 1_235, 5_000, 9_999]);
  const texts = numbered(10_000).map((text, at) => (bad.has(at) ? `cursed ${at}` : text));
  const before = provider.seen.requests;

  const { vectors, rejected } = await batcher.embedEach(texts, never);

  expect([...rejected.keys()]).toEqual([...bad]);
  expect([...rejected.values()].map((failure) => failure.code)).toEqual(
    Array(5).fill("embed.input-rejected"),
  );
  expect(vectors.filter((vector) => vector !== null)).toHaveLength(9_995);
  expect(vectors[1_236]).toEqual(vectorOf("text 1236", DIMENSIONS));
  const extra = provider.seen.requests - before - 10_000 / 16;
  expect(extra).toBeLessThanOrEqual(5 * (2 * Math.log2(16) + 1));
});

// What a text makes the server do, and what is recorded of it.
const poisons: readonly [Misbehaviour, string][] = [
  ["server-error", "server error"],
  ["nan", "finiteness"],
  ["null-number", "finiteness"],
  ["zero-vector", "norm"],
  ["wrong-count", "count"],
  ["not-json", "shape"],
  ["cut-body", "body cut"],
  ["reset", "UND_ERR_SOCKET"],
  ["html-error", "502"],
  ["hang", "timeout"],
  ["hang-in-body", "timeout"],
];

test.each(
  poisons,
)("a text that makes the server answer %s costs only itself", async (poisonMode, recorded) => {
  const { batcher } = await world({ poison: "cursed", poisonMode }, { batch: 4 });
  const job = new AbortController().signal;

  const [bad, neighbours] = await Promise.all([
    batcher.embedEach(["cursed", "a"], job),
    batcher.embedEach(["b", "c"], never),
  ]);

  expect(bad.vectors).toEqual([null, vectorOf("a", DIMENSIONS)]);
  expect(neighbours.vectors).toEqual(["b", "c"].map((text) => vectorOf(text, DIMENSIONS)));
  const failure = bad.rejected.get(0);
  expect(failure?.code).toBe("embed.input-rejected");
  expect(JSON.stringify(failure?.facts)).toContain(recorded);
});

test.each([
  "server-error",
  "html-error",
  "reset",
  "not-json",
  "wrong-count",
  "nan",
] as const)("a server that answers %s to everything is away, whatever the texts: one plain word is asked, nothing is halved", async (mode) => {
  const { provider, batcher } = await world({}, { batch: 8 });
  provider.misbehave(mode);

  const failure = await failureOf(batcher.embedEach(numbered(8), never));

  expect(["embed.unavailable", "embed.bad-answer"]).toContain(failure.code);
  expect(provider.seen.requests).toBe(2);
});

// Found by the fault suite: nobody sent such a text again, and whoever asked for it waited for ever.
test.each([
  ["has a text at fault", { poison: "cursed" }, "well"],
  ["is refused for a moment", {}, "rate-limited-no-hint"],
] as const)("a text whose job left when its request %s is there for the next one that asks", async (_what, server, mode) => {
  const { provider, batcher } = await world(server, { batch: 4 });
  provider.misbehave(mode, 1);
  const left = new AbortController();
  const leaves = () => left.abort(new Error("left"));
  const stays = batcher.embedEach(["cursed", "of who stays"], never);
  const gone = batcher.embedEach(["of who leaves", "another"], left.signal, leaves);

  await expect(gone).rejects.toThrow("left");
  await stays;
  const { vectors } = await batcher.embedEach(["another", "of who leaves"], AbortSignal.timeout(3_000));

  expect(vectors).toEqual([vectorOf("another", DIMENSIONS), vectorOf("of who leaves", DIMENSIONS)]);
});

test("a server that refuses even a plain word is misconfigured, and no text is to blame", async () => {
  const { provider, batcher } = await world({ poison: "" }, { batch: 8 });

  const failure = await failureOf(batcher.embedEach(numbered(8), never));

  expect(failure).toMatchObject({ code: "embed.refused", kind: "misconfigured" });
  expect(provider.seen.requests).toBe(2);
});

test.each([
  "server-error",
  "cut-body",
  "wrong-count",
  "nan",
] as const)("an accident that happens once (%s) is nobody's failure", async (mode) => {
  const { provider, batcher } = await world({}, { batch: 8 });
  provider.misbehave(mode, 1);

  const { rejected, vectors } = await batcher.embedEach(numbered(8), never);

  expect(rejected.size).toBe(0);
  expect(vectors.every((vector) => vector !== null)).toBe(true);
});

test("a text alone in its request is refused only when it fails again", async () => {
  const { provider, batcher } = await world({}, { batch: 1 });
  provider.misbehave("server-error", 1);

  const { rejected } = await batcher.embedEach(["alone"], never);

  expect(rejected.size).toBe(0);
});

test("empty and too long texts cost no request and none of their neighbours", async () => {
  const { provider, batcher } = await world({}, { batch: 4 });

  const { rejected, vectors } = await batcher.embedEach(["a", " ", "word ".repeat(9_000), "b"], never);

  expect([...rejected].map(([at, { facts }]) => [at, facts.reason])).toEqual([
    [1, "empty"],
    [2, "too long"],
  ]);
  expect(vectors[3]).toEqual(vectorOf("b", DIMENSIONS));
  expect(provider.seen.texts).toBe(2);
});

test("a text that llama-server calls too large fails alone, with the length it was told", async () => {
  const { batcher } = await world({ dialect: "llama-server", maxWords: 20 }, { batch: 8 });
  const long = "a ".repeat(15);

  const { rejected } = await batcher.embedEach(["fine", `${long} ${long}`, "fine too"], never);

  expect([...rejected.keys()]).toEqual([1]);
});

test("what is recorded of a refusal repeats neither the text nor the key", async () => {
  const { provider, batcher } = await world({ apiKey: "sk-0123456789", poison: "topsecret" });
  const { rejected } = await batcher.embedEach(["fine", "the topsecret plan of Example Ltd"], never);

  const { message, facts } = rejected.get(1) ?? {};
  expect(`${message} ${JSON.stringify(facts)}`).not.toMatch(/topsecret|plan of|Example|sk-/);
  expect(facts?.providerSays).toContain("invalid");
  expect(provider.seen.requests).toBeGreaterThan(1);
});
