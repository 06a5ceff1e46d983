// A llama-server that this worker starts when a text waits. What its model is, is read from the model file, so that
// a worker that has nothing to embed needs no memory for it.
// A server that dies with requests in it costs time only: they are sent again to the next one. A text may be what
// crashes it: requests after a death go one at a time, and what was alone at two crashes is at fault.
import pLimit from "p-limit";
import type { Tokenizer } from "../../document/tokenizer.ts";
import { Failure } from "../../failure/failure.ts";
import { checkTexts, inputTooLong, mostTokens } from "../check-texts.ts";
import type { Embedder, EmbedderLimits, Embeddings } from "../embedder.ts";
import { openClient, requestEmbeddings } from "../openai-protocol.ts";
import { countTokens } from "./count-tokens.ts";
import { HERE } from "./fetch-at.ts";
import { endedFromOutside, openServerOnDemand, type ServerNews } from "./server-on-demand.ts";
import type { ServerSetup } from "./server-setup.ts";
import type { StartedServer } from "./start-server.ts";

export type LocalLlamaOptions = {
  readonly setup: ServerSetup;
  readonly tokenizer: Tokenizer;
  /** False for a tokenizer that only comes near the model's. */
  readonly counts: boolean;
  readonly idleMs: number;
  readonly tell?: (news: ServerNews) => void;
  readonly timeoutMs?: number;
};

// A slow core needs minutes for a full request of long texts; a server that is silent for longer is ended.
const TIMEOUT_MS = 600_000;
const MOST_ITEMS = 2048;
const SPECIAL_TOKENS = 2;
// A tokenizer that is not the model's own may count a quarter too few.
const ESTIMATE = 0.75;
/** Deaths with one request alone in the server that prove it at fault; one text has one more chance. */
const PROOF = { several: 2, single: 3 };
const MOST_FROM_OUTSIDE = 3;

type Answer = Awaited<ReturnType<typeof requestEmbeddings>>;
/** Whether what was sent may have ended it. */
type Death = { readonly ofText: boolean };

/** Starts nothing yet. */
export function openLocalLlama({ setup, tokenizer, counts, ...options }: LocalLlamaOptions): Embedder {
  const closing = new AbortController();
  const server = openServerOnDemand({
    setup,
    tokenizer,
    idleMs: options.idleMs,
    tell: options.tell ?? (() => {}),
  });
  const limits = limitsOf(setup.context, counts);
  const oneAtATime = pLimit(1);
  const { dimensions, name: model } = setup.model;

  async function ask(
    { fetch, countsAlike }: StartedServer,
    texts: readonly string[],
    signal: AbortSignal,
    answered?: () => void,
  ) {
    if (!countsAlike) await checkLengths(texts, setup.context, fetch, signal);
    const timeoutMs = options.timeoutMs ?? TIMEOUT_MS;
    const client = openClient({ apiKey: null, baseUrl: `${HERE}/v1`, timeoutMs, fetch });
    const asked = { model, texts, askDimensions: null, expectDimensions: dimensions };
    return await requestEmbeddings(client, asked, signal, answered);
  }

  /** The server's end instead, when it died with the request in it. */
  async function tryOnce(
    texts: readonly string[],
    signal: AbortSignal,
    answered?: () => void,
  ): Promise<Answer | Death> {
    return await server.use(signal, async (started) => {
      try {
        return await ask(started, texts, signal, answered);
      } catch (thrown) {
        if (!(thrown instanceof Failure) || thrown.code !== "embed.unavailable") throw thrown;
        signal.throwIfAborted();
        const silent = thrown.facts.reason === "timeout";
        if (silent) await server.kill(started);
        const end = await server.died(started);
        if (end === null) throw thrown;
        return { ofText: silent || !endedFromOutside(end) };
      }
    });
  }

  async function askUntilAnswered(
    texts: readonly string[],
    signal: AbortSignal,
    answered?: () => void,
  ): Promise<Answer> {
    const proof = texts.length === 1 ? PROOF.single : PROOF.several;
    const met = { alone: 0, fromOutside: 0 };
    while (met.alone < proof && met.fromOutside < MOST_FROM_OUTSIDE) {
      const alone = server.shaken();
      const once = () => tryOnce(texts, signal, answered);
      const result = await (alone ? oneAtATime(once) : once());
      if ("vectors" in result) return result;
      // Not alone, another request may be at fault; all are sent alone then, so that happens once a minute at most.
      if (!result.ofText) met.fromOutside += 1;
      else if (alone) met.alone += 1;
    }
    if (met.alone < proof)
      throw new Failure("embed.server-down", { facts: { reason: "llama-server is killed again and again" } });
    throw new Failure("embed.input-rejected", {
      says: "A piece of this document ends the embedding server each time. Remove or change it.",
      facts: { reason: "ends the server" },
    });
  }

  return {
    provider: "llama-server",
    model,
    dimensions,
    limits,
    tokenizer,
    priceUsdPerMillionTokens: 0,
    server: server.look,
    async embed(texts, caller, answered): Promise<Embeddings> {
      const signal = AbortSignal.any([caller, closing.signal]);
      signal.throwIfAborted();
      checkTexts(texts, limits, tokenizer);
      if (texts.length === 0) return { vectors: [], tokens: 0 };
      const { vectors, tokens } = await askUntilAnswered(texts, signal, answered);
      return { vectors, tokens: tokens ?? texts.reduce((sum, text) => sum + tokenizer.count(text), 0) };
    },
    async close() {
      closing.abort(new Failure("worker.stopping"));
      await server.close();
    },
  };
}

/** A text above the context fails its whole request without being named: the server itself counts it before. */
async function checkLengths(
  texts: readonly string[],
  context: number,
  fetch: typeof globalThis.fetch,
  signal: AbortSignal,
): Promise<void> {
  for (const [input, text] of texts.entries()) {
    if (mostTokens(text) + SPECIAL_TOKENS <= context) continue;
    const tokens = await countTokens(text, fetch, signal);
    if (tokens > context) throw inputTooLong(input, tokens - SPECIAL_TOKENS, context - SPECIAL_TOKENS);
  }
}

function limitsOf(context: number, counts: boolean): EmbedderLimits {
  const content = context - SPECIAL_TOKENS;
  return {
    maxItems: MOST_ITEMS,
    maxTokensPerInput: counts ? content : Math.max(Math.floor(content * ESTIMATE), 1),
    maxTokensPerRequest: MOST_ITEMS * content,
  };
}
