// OpenAI, or any server that speaks its protocol (OPENAI_BASE_URL).
// A model we do not know has to be asked for its dimension: one canary request when it is opened.

import { priceOf } from "../config/prices.ts";
import type { Amounts } from "../config/setting.ts";
import type { Tokenizer } from "../document/tokenizer.ts";
import { Failure } from "../failure/failure.ts";
import { checkTexts } from "./check-texts.ts";
import type { Embedder, EmbedderLimits } from "./embedder.ts";
import { modelName } from "./llama-server-identity.ts";
import { failureOfRequest } from "./openai-failure.ts";
import { openAiModel } from "./openai-models.ts";
import { type Connection, openClient, requestEmbeddings } from "./openai-protocol.ts";
import type { RateReading } from "./pacing/rate-reading.ts";

export type OpenAiOptions = {
  readonly apiKey: string | null;
  /** Default: OpenAI's own. */
  readonly baseUrl?: string | null;
  readonly model?: string | null;
  /** Fewer than the model's own where it can shorten; the expected length elsewhere. */
  readonly dimensions?: number | null;
  readonly timeoutMs?: number;
  readonly limits?: Partial<EmbedderLimits>;
  /** US dollars per million tokens by model, beside the known ones. */
  readonly prices?: Amounts | null;
  readonly tokenizer: Tokenizer;
};

export const OPENAI_DEFAULT_MODEL = "text-embedding-3-small";
export const OPENAI_URL = "https://api.openai.com/v1";
// Long enough for a full request to a slow server; a hung connection costs a job one attempt, not an hour.
const TIMEOUT_MS = 60_000;
// Source: https://platform.openai.com/docs/api-reference/embeddings/create
const LIMITS: EmbedderLimits = { maxItems: 2048, maxTokensPerInput: 8192, maxTokensPerRequest: 300_000 };

/**
 * Opens without touching the network when the dimension is known or given. Throws `embed.unavailable` when a
 * canary is needed and the server is down: transient, try again.
 */
export async function openOpenAi(options: OpenAiOptions, signal: AbortSignal): Promise<Embedder> {
  const connection: Connection = {
    apiKey: options.apiKey,
    baseUrl: options.baseUrl ?? OPENAI_URL,
    timeoutMs: options.timeoutMs ?? TIMEOUT_MS,
  };
  const client = openClient(connection);
  const model = options.model ?? OPENAI_DEFAULT_MODEL;
  const known = openAiModel(model);
  const asked = options.dimensions ?? null;
  const askDimensions = known?.shortens ? asked : null;
  const closing = new AbortController();

  const request = async (
    texts: readonly string[],
    expectDimensions: number | null,
    caller: AbortSignal,
    answered?: (rate?: RateReading) => void,
  ) =>
    requestEmbeddings(
      client,
      { model, texts, askDimensions, expectDimensions },
      AbortSignal.any([caller, closing.signal]),
      answered,
    );
  const learned = async () => (await request(["dimension"], null, signal)).vectors[0]?.length;
  const dimensions = asked ?? known?.dimensions ?? (await learned()) ?? 0;
  const limits = { ...LIMITS, ...options.limits };

  return {
    provider: "openai",
    model,
    dimensions,
    limits,
    tokenizer: options.tokenizer,
    priceUsdPerMillionTokens: priceOf(model, options.prices),
    async embed(texts, caller, answered) {
      checkTexts(texts, limits, options.tokenizer);
      if (texts.length === 0) return { vectors: [], tokens: 0 };
      const { vectors, tokens } = await request(texts, dimensions, caller, answered);
      return { vectors, tokens: tokens ?? countAll(texts, options.tokenizer) };
    },
    async close() {
      closing.abort(new Failure("worker.stopping"));
    },
  };
}

/**
 * The model that another server serves, when nobody named one; null for OpenAI's own address. To call its vectors
 * by the name of a model that it does not have would mix up what is stored. Throws `embed.*`.
 */
export async function askServedModel(
  options: Pick<OpenAiOptions, "apiKey"> & { readonly baseUrl: string },
  signal: AbortSignal,
): Promise<string | null> {
  if (new URL(options.baseUrl).hostname === new URL(OPENAI_URL).hostname) return null;
  const client = openClient({ ...options, timeoutMs: TIMEOUT_MS });
  try {
    const { data } = await client.models.list({ signal });
    const [first] = data;
    if (first !== undefined) return modelName(first.id);
  } catch (thrown) {
    throw signal.aborted ? signal.reason : failureOfRequest(thrown);
  }
  throw new Failure("embed.model-missing", {
    says: "The server at OPENAI_BASE_URL names no model. Set RAG_EMBEDDING_MODEL.",
  });
}

function countAll(texts: readonly string[], tokenizer: Tokenizer): number {
  return texts.reduce((sum, text) => sum + tokenizer.count(text), 0);
}
