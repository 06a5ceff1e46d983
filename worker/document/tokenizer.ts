// How an embedder counts: budgets are kept in the tokens of the model that will read the text.

export type Tokenizer = {
  /** For logs and `--explain`, such as `bert-wordpiece` or `cl100k_base`. */
  readonly name: string;
  /** Tokens of the text as the model counts it inside a request, without its special tokens. Linear time. */
  count(text: string): number;
  /**
   * Where it can: walks from `from` over the pieces of the text that are counted apart, and tells where each ends
   * and how many tokens it has, until `take` answers true. What a piece is depends on the text from its start to
   * the next sign behind it and the white space there, on nothing before it: so the tokens of a stretch are the
   * sum of its pieces, but for those at its edges.
   */
  scan?(text: string, from: number, take: TakePiece): void;
};

export type TakePiece = (end: number, tokens: number) => boolean;

/** For an embedder that runs the model itself: the ids too, without [CLS] and [SEP], never cut short. */
export type EncodingTokenizer = Tokenizer & { encode(text: string): number[] };
