// What a language model says of a document: of a group of its segments, or of the whole.

export type Entity = { readonly name: string; readonly type: string };

export type GroupAnalysis = {
  readonly summary: string;
  readonly topics: readonly string[];
  readonly entities: readonly Entity[];
  readonly keyPoints: readonly string[];
  /** Questions that the group answers. */
  readonly questions: readonly string[];
  /** null where nobody speaks. */
  readonly conversation: Conversation | null;
  /** One line for each chunk that was asked about, in order. */
  readonly chunkContexts: readonly string[];
};

export type Conversation = {
  readonly decisions: readonly string[];
  readonly actionItems: readonly {
    readonly task: string;
    readonly owner: string | null;
    readonly due: string | null;
  }[];
  readonly sentiment: readonly {
    readonly speaker: string;
    readonly sentiment: "positive" | "neutral" | "negative" | "mixed";
    readonly reason: string;
  }[];
};

export type DocumentAnalysis = {
  readonly title: string;
  readonly summary: string;
  /** BCP 47, such as `en` or `pt-BR`. */
  readonly language: string;
  readonly topics: readonly string[];
};

/** Tokens as they are paid: each kind has a price of its own. */
export type TokenUse = {
  /** Read at the full price. */
  readonly input: number;
  /** Read and kept for the next request. */
  readonly cacheWrite: number;
  /** Kept by an earlier request. */
  readonly cacheRead: number;
  readonly output: number;
};

export const NO_TOKENS: TokenUse = { input: 0, cacheWrite: 0, cacheRead: 0, output: 0 };
