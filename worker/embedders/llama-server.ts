// A llama-server that others run, by its URL. It speaks the OpenAI protocol with traps of its own: HTTP 500 for an
// input that is merely too long, `dimensions` ignored, an empty text answered with a vector.
// It may be restarted with another model behind our back: after every outage it is asked again who it is.
import type { Tokenizer } from "../document/tokenizer.ts";
import { Failure } from "../failure/failure.ts";
import { checkTexts } from "./check-texts.ts";
import type { Embedder, EmbedderLimits } from "./embedder.ts";
import { askIdentity, type LlamaIdentity, modelName, serverRoot } from "./llama-server-identity.ts";
import { openClient, requestEmbeddings } from "./openai-protocol.ts";

export type LlamaServerOptions = {
  readonly url: string;
  /** Where it was started with `--api-key`. */
  readonly apiKey?: string | null;
  /** When given, any other model is refused with `embed.model-mismatch`. */
  readonly model?: string | null;
  /** When given, any other dimension is refused with `embed.wrong-dimension`. */
  readonly dimensions?: number | null;
  readonly timeoutMs?: number;
  /** Gives the tokenizer by whether the model counts as uncased BERT does. */
  readonly tokenizer: (countsAsBert: boolean) => Promise<Tokenizer>;
};

// A CPU may need this long for a full request of long texts.
const TIMEOUT_MS = 120_000;
const MOST_ITEMS = 2048;
const SPECIAL_TOKENS = 2;
// A tokenizer that is not the model's own may count a quarter too few.
const ESTIMATE = 0.75;

/**
 * Learns model, dimension (by a canary) and limits. Throws `embed.unavailable` while the server is down or loads
 * its model: transient, try again. Throws `embed.model-mismatch` or `embed.wrong-dimension` when it serves
 * something else than asked for.
 */
export async function openLlamaServer(options: LlamaServerOptions, signal: AbortSignal): Promise<Embedder> {
  const closing = new AbortController();
  const baseUrl = `${serverRoot(options.url)}/v1`;
  const timeoutMs = options.timeoutMs ?? TIMEOUT_MS;
  const client = openClient({ apiKey: options.apiKey ?? null, baseUrl, timeoutMs });
  const learned = await learnIdentity(options, signal);
  const { model } = learned;
  const tokenizer = await options.tokenizer(learned.countsAsBert);
  const limits = limitsOf(learned);
  let unsure = false;

  async function request(
    texts: readonly string[],
    expectDimensions: number | null,
    caller: AbortSignal,
    answered?: () => void,
  ) {
    const either = AbortSignal.any([caller, closing.signal]);
    either.throwIfAborted();
    if (unsure) await confirmIdentity(options, learned, either);
    unsure = false;
    try {
      const asked = { model, texts, askDimensions: null, expectDimensions };
      return await requestEmbeddings(client, asked, either, answered);
    } catch (thrown) {
      unsure = thrown instanceof Failure && thrown.code === "embed.unavailable";
      throw thrown;
    }
  }

  const canary = await request(["dimension"], options.dimensions ?? learned.dimensions, signal);
  const dimensions = canary.vectors[0]?.length ?? 0;

  return {
    provider: "llama-server",
    model,
    dimensions,
    limits,
    tokenizer,
    priceUsdPerMillionTokens: 0,
    async embed(texts, caller, answered) {
      checkTexts(texts, limits, tokenizer);
      if (texts.length === 0) return { vectors: [], tokens: 0 };
      const { vectors, tokens } = await request(texts, dimensions, caller, answered);
      return { vectors, tokens: tokens ?? texts.reduce((sum, text) => sum + tokenizer.count(text), 0) };
    },
    async close() {
      closing.abort(new Failure("worker.stopping"));
    },
  };
}

const addressOf = ({ url, apiKey = null }: LlamaServerOptions) => ({ url, apiKey });

async function learnIdentity(options: LlamaServerOptions, signal: AbortSignal): Promise<LlamaIdentity> {
  const identity = await askIdentity(addressOf(options), signal);
  if (options.model && modelName(options.model) !== identity.model)
    throw mismatch(modelName(options.model), identity.model);
  return identity;
}

async function confirmIdentity(options: LlamaServerOptions, learned: LlamaIdentity, signal: AbortSignal) {
  const { model } = await askIdentity(addressOf(options), signal);
  if (model !== learned.model) throw mismatch(learned.model, model);
}

function mismatch(wanted: string, served: string): Failure {
  return new Failure("embed.model-mismatch", {
    says: "llama-server serves another model than this worker is set up for.",
    facts: { wanted, served },
  });
}

function limitsOf({ context, countsAsBert }: LlamaIdentity): EmbedderLimits {
  const content = Math.max(context - SPECIAL_TOKENS, 1);
  return {
    maxItems: MOST_ITEMS,
    maxTokensPerInput: countsAsBert ? content : Math.max(Math.floor(content * ESTIMATE), 1),
    maxTokensPerRequest: MOST_ITEMS * content,
  };
}
