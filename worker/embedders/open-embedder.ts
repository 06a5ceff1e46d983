// The only place that picks an embedder.
import type { Config } from "../config/config.ts";
import type { EncodingTokenizer, Tokenizer } from "../document/tokenizer.ts";
import { Failure } from "../failure/failure.ts";
import { openEmbedded } from "./embedded.ts";
import type { Embedder } from "./embedder.ts";
import { openLlamaServer } from "./llama-server.ts";
import { MINILM_DIMENSIONS, MINILM_NAME } from "./minilm-model.ts";
import { askServedModel, openOpenAi } from "./openai.ts";

export type EmbedderConfig = Pick<
  Config,
  | "embeddingProvider"
  | "embeddingModel"
  | "embeddingDimensions"
  | "openaiApiKey"
  | "openaiBaseUrl"
  | "llamaServerUrl"
>;

export type EmbedderParts = {
  /** `bert-wordpiece` must be one that encodes, for the embedded model reads ids. */
  readonly tokenizer: (name: "bert-wordpiece" | "cl100k_base") => Promise<Tokenizer>;
  /** Where the embedded model keeps what it computed once. */
  readonly cacheDir: string;
  readonly signal?: AbortSignal;
};

/** Which embedder `auto` means, from what is configured. */
export function chooseProvider(config: EmbedderConfig): Embedder["provider"] {
  if (config.embeddingProvider !== "auto") return config.embeddingProvider;
  if (config.openaiApiKey !== null || config.openaiBaseUrl !== null) return "openai";
  return config.llamaServerUrl === null ? "embedded" : "llama-server";
}

/**
 * Opens the configured embedder. Throws `embed.unavailable` (transient: try again) when a server has to be asked
 * and is down; known OpenAI models, and unknown ones with RAG_EMBEDDING_DIMENSIONS set, open without asking.
 */
export async function openEmbedder(config: EmbedderConfig, parts: EmbedderParts): Promise<Embedder> {
  const signal = parts.signal ?? new AbortController().signal;
  switch (chooseProvider(config)) {
    case "openai":
      return await openConfiguredOpenAi(config, parts, signal);
    case "llama-server":
      return await openConfiguredLlamaServer(config, parts, signal);
    case "embedded":
      return await openConfiguredEmbedded(config, parts);
  }
}

async function openConfiguredOpenAi(config: EmbedderConfig, parts: EmbedderParts, signal: AbortSignal) {
  if (config.openaiApiKey === null && config.openaiBaseUrl === null)
    throw missing("RAG_EMBEDDING_PROVIDER is openai, but neither OPENAI_API_KEY nor OPENAI_BASE_URL is set.");
  const { openaiApiKey: apiKey, openaiBaseUrl: baseUrl } = config;
  const served =
    config.embeddingModel === null && baseUrl !== null
      ? await askServedModel({ apiKey, baseUrl }, signal)
      : null;
  const options = {
    apiKey,
    baseUrl,
    model: config.embeddingModel ?? served,
    dimensions: config.embeddingDimensions,
    tokenizer: await parts.tokenizer("cl100k_base"),
  };
  return await openOpenAi(options, signal);
}

async function openConfiguredLlamaServer(config: EmbedderConfig, parts: EmbedderParts, signal: AbortSignal) {
  if (config.llamaServerUrl === null)
    throw missing("RAG_EMBEDDING_PROVIDER is llama-server, but LLAMA_SERVER_URL is not set.");
  const options = {
    url: config.llamaServerUrl,
    model: config.embeddingModel,
    dimensions: config.embeddingDimensions,
    tokenizer: (countsAsBert: boolean) => parts.tokenizer(countsAsBert ? "bert-wordpiece" : "cl100k_base"),
  };
  return await openLlamaServer(options, signal);
}

async function openConfiguredEmbedded(config: EmbedderConfig, parts: EmbedderParts) {
  if (config.embeddingModel !== null && config.embeddingModel !== MINILM_NAME)
    throw new Failure("embed.model-missing", {
      says: `The embedded model is ${MINILM_NAME}. RAG_EMBEDDING_MODEL names another one.`,
    });
  if (config.embeddingDimensions !== null && config.embeddingDimensions !== MINILM_DIMENSIONS)
    throw new Failure("embed.wrong-dimension", {
      says: `${MINILM_NAME} has ${MINILM_DIMENSIONS} dimensions. RAG_EMBEDDING_DIMENSIONS says otherwise.`,
    });
  const tokenizer = await parts.tokenizer("bert-wordpiece");
  if (!encodes(tokenizer)) throw new TypeError(`${tokenizer.name} counts only`);
  return await openEmbedded({ cacheDir: parts.cacheDir, tokenizer });
}

function encodes(tokenizer: Tokenizer): tokenizer is EncodingTokenizer {
  return "encode" in tokenizer;
}

function missing(says: string): Failure {
  return new Failure("config.invalid", { says });
}
