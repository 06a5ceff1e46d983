// Texts to vectors, behind one interface whoever computes them.
import type { Tokenizer } from "../document/tokenizer.ts";
import type { RateReading } from "./pacing/rate-reading.ts";

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

/** A server that an embedder starts and ends by itself. */
export type OwnServer = {
  readonly state: "stopped" | "starting" | "ready" | "stopping" | "failed";
  readonly pid: number | null;
  /** Memory of the process, without the one that keeps it. */
  readonly rssBytes: number | null;
  readonly slots: number | null;
  /** Since this process began. */
  readonly starts: number;
  readonly deaths: number;
  /** Why it is `failed`. */
  readonly code: string | null;
  readonly says: string | null;
};
/** What makes vectors comparable, as rag_models writes it: another part is another model. */
export const identityOf = ({
  model,
  dimensions,
  quantisation,
}: Pick<Embedder, "model" | "dimensions" | "quantisation">): string =>
  `${model}/${dimensions}/${quantisation ?? "none"}`;

export type Embedder = {
  readonly provider: "openai" | "llama-server" | "embedded";
  /** Identity of the vectors: model name, and quantisation where it changes them. */
  readonly model: string;
  readonly dimensions: number;
  /** How coarse the weights are, where that changes the vectors and the name does not say it; absent for `none`. */
  readonly quantisation?: string;
  readonly limits: EmbedderLimits;
  readonly tokenizer: Tokenizer;
  /** US dollars per million tokens; 0 for a model that runs here, null when nobody told us the price. */
  readonly priceUsdPerMillionTokens: number | null;
  /**
   * Where the first text starts a server: how it stands, without starting it. Nobody asks such an embedder for a
   * vector only to see whether it works.
   */
  readonly server?: () => Promise<OwnServer>;
  /**
   * One request. Checks the answer's count, order, dimension, finiteness. Throws Failure `embed.*`, with the
   * fact `input` (index in `texts`) when one text is known to be at fault; throws the signal's reason when
   * aborted; throws `worker.stopping` after close. `answered`, where the embedder knows it, is called as soon as
   * the answer has arrived whole and before it is read: the provider could do something else by now. It is told what the
   * provider says of its limits.
   */
  embed(
    texts: readonly string[],
    signal: AbortSignal,
    answered?: (rate?: RateReading) => void,
  ): Promise<Embeddings>;
  /** Ends what runs. Safe to call twice. */
  close(): Promise<void>;
};
