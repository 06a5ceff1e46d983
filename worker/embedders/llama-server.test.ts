// What is special about llama-server; what every embedder promises stands in contract.test.ts.
import { afterEach, expect, test } from "vitest";
import { describeWith, serviceUrl } from "../tests/services.ts";
import { type EmbeddingServerOptions, startEmbeddingServer } from "../tests/stand-ins/embedding-server.ts";
import { failureOf } from "./contract.ts";
import { type LlamaServerOptions, openLlamaServer } from "./llama-server.ts";
import { modelName } from "./llama-server-identity.ts";

const never = new AbortController().signal;
const words = { name: "words", count: (text: string) => text.split(/\s+/).length };
const opened: { close(): Promise<void> }[] = [];

afterEach(async () => {
  for (const part of opened.splice(0).reverse()) await part.close();
});

async function start(server: EmbeddingServerOptions = {}) {
  const provider = await startEmbeddingServer({
    dialect: "llama-server",
    dimensions: 384,
    model: "/models/all-MiniLM-L6-v2.f16.gguf",
    ...server,
  });
  opened.push(provider);
  return provider;
}

async function open(url: string, options: Partial<LlamaServerOptions> = {}) {
  const embedder = await openLlamaServer({ url, tokenizer: async () => words, ...options }, never);
  opened.push(embedder);
  return embedder;
}

test("opening learns the model, its dimension and its limit", async () => {
  const provider = await start({ maxWords: 300 });

  const embedder = await open(provider.url);

  expect(embedder).toMatchObject({ model: "all-MiniLM-L6-v2", dimensions: 384, priceUsdPerMillionTokens: 0 });
  expect(embedder.limits.maxTokensPerInput).toBe(298);
});

test.each(["/", "/v1", "/v1/"])("an address that ends in %s is the same server", async (ending) => {
  const provider = await start();

  const embedder = await open(`${provider.url}${ending}`);

  expect(embedder.dimensions).toBe(384);
});

test("a server with a key is asked with it, and a wrong one is refused by a sentence that names the setting", async () => {
  const provider = await start({ apiKey: "llama-right" });

  const embedder = await open(provider.url, { apiKey: "llama-right" });
  expect((await embedder.embed(["word"], never)).vectors).toHaveLength(1);

  for (const apiKey of ["llama-wrong", null]) {
    const failure = await failureOf(open(provider.url, { apiKey }));
    expect(failure).toMatchObject({ code: "embed.denied" });
    expect(failure.message).toContain("LLAMA_SERVER_API_KEY");
    expect(failure.message).not.toContain("llama-wrong");
  }
});

test.each([
  ["/models/all-MiniLM-L6-v2.f16.gguf", "all-MiniLM-L6-v2"],
  ["C:\\models\\nomic-embed-text-v1.5.Q8_0.gguf", "nomic-embed-text-v1.5.Q8_0"],
  ["bge-small-en-v1.5-F32.gguf", "bge-small-en-v1.5"],
  ["an-alias", "an-alias"],
])("the model in %s is called %s", (id, name) => {
  expect(modelName(id)).toBe(name);
});

test("a server that still loads its model is an outage that passes", async () => {
  const provider = await start();
  provider.misbehave("loading-model");

  const failure = await failureOf(open(provider.url));

  expect(failure).toMatchObject({ code: "embed.unavailable", kind: "transient", facts: { status: 503 } });
});

test("a server that is not there is an outage that passes", async () => {
  const provider = await start();
  await provider.close();

  const failure = await failureOf(open(provider.url));

  expect(failure).toMatchObject({ code: "embed.unavailable", kind: "transient" });
});

test("another program at the address is a wrong configuration", async () => {
  const provider = await start({ dialect: "openai" });

  const failure = await failureOf(open(provider.url));

  expect(failure).toMatchObject({ code: "embed.model-missing", kind: "misconfigured" });
});

test("another model than the configured one is a wrong configuration", async () => {
  const provider = await start();

  const failure = await failureOf(open(provider.url, { model: "nomic-embed-text" }));

  expect(failure).toMatchObject({ code: "embed.model-mismatch", kind: "misconfigured" });
  expect(failure.facts).toEqual({ wanted: "nomic-embed-text", served: "all-MiniLM-L6-v2" });
});

test("another dimension than the configured one is a wrong configuration, although the server would ignore it", async () => {
  const provider = await start();

  const failure = await failureOf(open(provider.url, { dimensions: 256 }));

  expect(failure).toMatchObject({ code: "embed.wrong-dimension", kind: "misconfigured" });
  expect(provider.lastBody()).not.toHaveProperty("dimensions");
});

test("a text that is too large to process is the text's fault, although the server says 500", async () => {
  const provider = await start({ maxWords: 20 });
  const embedder = await open(provider.url, { tokenizer: async () => ({ name: "none", count: () => 1 }) });

  const failure = await failureOf(embedder.embed(["short", "word ".repeat(30)], never));

  expect(failure).toMatchObject({ code: "embed.input-rejected", kind: "permanent" });
});

test("any other 500 is an outage", async () => {
  const provider = await start();
  const embedder = await open(provider.url);
  provider.misbehave("server-error");

  const failure = await failureOf(embedder.embed(["text"], never));

  expect(failure).toMatchObject({ code: "embed.unavailable", kind: "transient" });
});

test("a server that comes back from an outage with another model is not believed", async () => {
  const provider = await start();
  const embedder = await open(provider.url);
  provider.misbehave("reset", 1);
  provider.serveModel("/models/other.gguf");

  const outage = await failureOf(embedder.embed(["text"], never));
  const changed = await failureOf(embedder.embed(["text"], never));
  const still = await failureOf(embedder.embed(["text"], never));

  expect(outage.code).toBe("embed.unavailable");
  expect(changed.code).toBe("embed.model-mismatch");
  expect(still.code).toBe("embed.model-mismatch");
});

test("a server that comes back with the same model goes on", async () => {
  const provider = await start();
  const embedder = await open(provider.url);
  provider.misbehave("loading-model", 1);
  await failureOf(embedder.embed(["text"], never));

  const { vectors } = await embedder.embed(["text"], never);

  expect(vectors).toHaveLength(1);
});

test("a vocabulary that is not BERT's is counted with a margin", async () => {
  const provider = await start({ maxWords: 402, bert: false });

  const embedder = await open(provider.url);

  expect(embedder.limits.maxTokensPerInput).toBe(300);
});

describeWith("llama", "a real llama-server", () => {
  test("says who it is, and that a text above its batch is too large", async () => {
    const embedder = await open(serviceUrl("llama"), {
      tokenizer: async () => ({ name: "none", count: () => 1 }),
    });

    const failure = await failureOf(embedder.embed(["short", "word ".repeat(600)], never));

    expect(embedder).toMatchObject({ model: "all-MiniLM-L6-v2", dimensions: 384 });
    expect(failure).toMatchObject({ code: "embed.input-rejected", facts: { reason: "too long" } });
  });
});
