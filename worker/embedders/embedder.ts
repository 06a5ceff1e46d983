// Texts to vectors, behind one interface whoever computes them.
import type { Tokenizer } from "../document/tokenizer.ts";

export type EmbedderLimits = {
  readonly maxItems: number;
  /** Without the special tokens that the model adds. A longer text is refused, never cut. */
  readonly maxTokensPerInput: number;
  readonly maxTokensPerRequest: number;
};

export type Embeddings = {
  /** In the order of the texts; each of `dimensions` finite numbers, L2 norm above zero. */
  readonly vectors: readonly Float32Array[];
  /** Tokens the provider says it read, or our own count. */
  readonly tokens: number;
};

export type Embedder = {
  readonly provider: "openai" | "llama-server" | "embedded";
  /** Identity of the vectors: model name, and quantisation where it changes them. */
  readonly model: string;
  readonly dimensions: number;
  readonly limits: EmbedderLimits;
  readonly tokenizer: Tokenizer;
  /** US dollars per million tokens; 0 for a model that runs here, null when nobody told us the price. */
  readonly priceUsdPerMillionTokens: number | null;
  /**
   * One request. Checks the answer's count, order, dimension, finiteness. Throws Failure `embed.*`, with the
   * fact `input` (index in `texts`) when one text is known to be at fault; throws the signal's reason when
   * aborted; throws `worker.stopping` after close. `answered`, where the embedder knows it, is called as soon as
   * the answer has arrived whole and before it is read: the provider could do something else by now.
   */
  embed(texts: readonly string[], signal: AbortSignal, answered?: () => void): Promise<Embeddings>;
  /** Ends what runs. Safe to call twice. */
  close(): Promise<void>;
};
