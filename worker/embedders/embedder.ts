// Texts to vectors, behind one interface whoever computes them.
import type { Tokenizer } from "../document/tokenizer.ts";

export type EmbedderLimits = {
  readonly maxItems: number;
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
  /** One request. Checks the answer's count, order, dimension, finiteness. Throws Failure `embed.*`. */
  embed(texts: readonly string[], signal: AbortSignal): Promise<Embeddings>;
  close(): Promise<void>;
};
