// The only place that picks an embedder. Each is loaded only when it is the one: a provider's library is hundreds of
// files, and a worker that starts has jobs waiting.
import type { Config } from "../config/config.ts";
import type { EncodingTokenizer, Tokenizer, WordPieceVocabulary } from "../document/tokenizer.ts";
import { Failure } from "../failure/failure.ts";
import type { Embedder } from "./embedder.ts";
import type { LocalLlamaConfig } from "./llama/open-local-llama.ts";
import type { ServerNews } from "./llama/server-on-demand.ts";
import { MINILM_DIMENSIONS, MINILM_NAME } from "./minilm-model.ts";
import type { BatchApi } from "./openai-batches.ts";

// A file of 20,000 texts takes its time on a slow line.
const BATCH_TIMEOUT_MS = 600_000;

export type EmbedderConfig = Pick<
  Config,
  | "embeddingProvider"
  | "embeddingModel"
  | "embeddingDimensions"
  | "openaiApiKey"
  | "openaiBaseUrl"
  | "llamaServerUrl"
  | "llamaServerApiKey"
  | "prices"
> &
  LocalLlamaConfig;

export type EmbedderParts = {
  /** `bert-wordpiece` must be one that encodes, for the embedded model reads ids. */
  readonly tokenizer: (name: "bert-wordpiece" | "cl100k_base" | WordPieceVocabulary) => Promise<Tokenizer>;
  /** Where the embedded model keeps what it computed once. */
  readonly cacheDir: string;
  /** Hears what becomes of a server that is started. */
  readonly tellOfServer?: (news: ServerNews) => void;
  readonly signal?: AbortSignal;
};

/** Which embedder `auto` means, from what is configured. */
export function chooseProvider(config: EmbedderConfig): Embedder["provider"] {
  if (config.embeddingProvider !== "auto") return config.embeddingProvider;
  if (config.openaiApiKey !== null || config.openaiBaseUrl !== null) return "openai";
  return config.llamaServerUrl === null && config.llamaServerModel === null ? "embedded" : "llama-server";
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
  const { askServedModel, openOpenAi } = await import("./openai.ts");
  const served =
    config.embeddingModel === null && baseUrl !== null
      ? await askServedModel({ apiKey, baseUrl }, signal)
      : null;
  const options = {
    apiKey,
    baseUrl,
    model: config.embeddingModel ?? served,
    dimensions: config.embeddingDimensions,
    prices: config.prices,
    tokenizer: await parts.tokenizer("cl100k_base"),
  };
  return await openOpenAi(options, signal);
}

/** The Batch API of the same account, for a model that is open already. */
export async function openConfiguredBatches(
  config: EmbedderConfig,
  { model, dimensions }: Pick<Embedder, "model" | "dimensions">,
): Promise<BatchApi> {
  const [{ OPENAI_URL }, { openBatchApi }] = await Promise.all([
    import("./openai.ts"),
    import("./openai-batches.ts"),
  ]);
  const { openaiApiKey: apiKey, openaiBaseUrl } = config;
  const baseUrl = openaiBaseUrl ?? OPENAI_URL;
  return openBatchApi({ apiKey, baseUrl, timeoutMs: BATCH_TIMEOUT_MS, model, dimensions });
}

async function openConfiguredLlamaServer(config: EmbedderConfig, parts: EmbedderParts, signal: AbortSignal) {
  const { llamaServerUrl: url, llamaServerModel: file } = config;
  if (url === null && file !== null) {
    const { openConfiguredLocalLlama } = await import("./llama/open-local-llama.ts");
    return await openConfiguredLocalLlama(file, config, {
      ...parts,
      ...(parts.tellOfServer && { tell: parts.tellOfServer }),
    });
  }
  if (url === null)
    throw missing(
      "RAG_EMBEDDING_PROVIDER is llama-server, but neither LLAMA_SERVER_URL nor LLAMA_SERVER_MODEL is set.",
    );
  const { openLlamaServer } = await import("./llama-server.ts");
  const options = {
    url,
    apiKey: config.llamaServerApiKey,
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
  const { openEmbedded } = await import("./embedded.ts");
  return await openEmbedded({ cacheDir: parts.cacheDir, tokenizer });
}

function encodes(tokenizer: Tokenizer): tokenizer is EncodingTokenizer {
  return "encode" in tokenizer;
}

function missing(says: string): Failure {
  return new Failure("config.invalid", { says });
}
