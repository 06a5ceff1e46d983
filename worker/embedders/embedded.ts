// The embedded model, all-MiniLM-L6-v2: no service, no key, no download. Runs in worker threads.
// Texts are turned into token ids here, by the same tokenizer that counted them for the chunker, so that what
// fits a chunk fits the model; a text that does not is refused, never cut.
import { availableParallelism } from "node:os";
import type { EncodingTokenizer } from "../document/tokenizer.ts";
import { Failure } from "../failure/failure.ts";
import { checkVectors } from "./check-answer.ts";
import { emptyInput, inputTooLong } from "./check-texts.ts";
import { type EngineThreads, openEngineThreads } from "./embedded-threads.ts";
import type { Embedder, EmbedderLimits } from "./embedder.ts";
import type { EngineInput, EngineName } from "./engine.ts";
import { EngineMissing, startEngineThread } from "./engine-thread.ts";
import { MINILM_DIMENSIONS, MINILM_NAME, MINILM_POSITIONS } from "./minilm-model.ts";

export type EmbeddedOptions = {
  /** Where the native runtime's graph is kept (35 MB). */
  readonly cacheDir: string;
  readonly tokenizer: EncodingTokenizer;
  /** Default: native where it works, else WebAssembly. */
  readonly engine?: EngineName | "auto";
  /** Default: one for each core, four at most. */
  readonly threads?: number;
  /** The model leaves memory after so long without texts. */
  readonly idleMs?: number;
  /** Another copy of the same weights. */
  readonly weightsPath?: string | undefined;
};

export type EmbeddedEmbedder = Embedder & { readonly engine: EngineName };

const CLS = 101n;
const SEP = 102n;
const MOST_TOKENS = MINILM_POSITIONS - 2;
const MOST_ITEMS = 2048;
// Each thread is a copy of the model (70 to 150 MB). Extraction and the database want cores too.
const MOST_THREADS = 4;
const IDLE_MS = 300_000;
const LIMITS: EmbedderLimits = {
  maxItems: MOST_ITEMS,
  maxTokensPerInput: MOST_TOKENS,
  maxTokensPerRequest: MOST_ITEMS * MOST_TOKENS,
};

/**
 * Loads the model. Throws `embed.model-missing` when its files are absent or damaged, or when the engine that
 * was asked for does not work on this machine.
 */
export async function openEmbedded(options: EmbeddedOptions): Promise<EmbeddedEmbedder> {
  const { engine, threads } = await openFirstThatWorks(options);
  const closing = new AbortController();

  return {
    provider: "embedded",
    engine,
    model: MINILM_NAME,
    dimensions: MINILM_DIMENSIONS,
    // The native runtime's graph is int8; the WebAssembly engine computes with the weights as they are.
    ...(engine === "native" && { quantisation: "int8" }),
    limits: LIMITS,
    tokenizer: options.tokenizer,
    priceUsdPerMillionTokens: 0,
    async embed(texts, caller) {
      const signal = AbortSignal.any([caller, closing.signal]);
      signal.throwIfAborted();
      if (texts.length > MOST_ITEMS)
        throw new RangeError(`${texts.length} texts in one request, ${MOST_ITEMS} allowed`);
      const inputs = texts.map((text, at) => asInput(text, at, options.tokenizer));
      const vectors = await threads.run(inputs, signal);
      return {
        vectors: checkVectors(vectors, { count: texts.length, dimensions: MINILM_DIMENSIONS }),
        tokens: inputs.reduce((sum, { ids }) => sum + ids.length - 2, 0),
      };
    },
    async close() {
      closing.abort(new Failure("worker.stopping"));
      await threads.close();
    },
  };
}

function asInput(text: string, at: number, tokenizer: EncodingTokenizer): EngineInput {
  const own = tokenizer.encode(text);
  // A text of control characters alone is not white space and yet has no token.
  if (text.trim() === "" || own.length === 0) throw emptyInput(at);
  if (own.length > MOST_TOKENS) throw inputTooLong(at, own.length, MOST_TOKENS);
  return { text, ids: BigInt64Array.from([CLS, ...own.map(BigInt), SEP]) };
}

type Opened = { readonly engine: EngineName; readonly threads: EngineThreads };

async function openFirstThatWorks(options: EmbeddedOptions): Promise<Opened> {
  const wanted = options.engine ?? "auto";
  const open = async (engine: EngineName): Promise<Opened> => {
    const setup = { engine, cacheDir: options.cacheDir, weightsPath: options.weightsPath };
    const count = options.threads ?? Math.min(MOST_THREADS, availableParallelism());
    const start = (ended: () => void) => startEngineThread(setup, ended);
    return { engine, threads: await openEngineThreads(start, count, options.idleMs ?? IDLE_MS) };
  };
  try {
    return await open(wanted === "auto" ? "native" : wanted);
  } catch (thrown) {
    if (!(thrown instanceof EngineMissing)) throw thrown;
    if (wanted === "auto") return await open("wasm");
    throw new Failure("embed.model-missing", {
      says: `The ${wanted} engine of the embedded model does not work on this machine.`,
      cause: thrown,
    });
  }
}
