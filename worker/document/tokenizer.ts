// How an embedder counts: budgets are kept in the tokens of the model that will read the text.

export type Tokenizer = {
  /** For logs and `--explain`, such as `bert-wordpiece` or `cl100k_base`. */
  readonly name: string;
  /** Tokens of the text as the model counts it inside a request, without its special tokens. Linear time. */
  count(text: string): number;
};

/** For an embedder that runs the model itself: the ids too, without [CLS] and [SEP], never cut short. */
export type EncodingTokenizer = Tokenizer & { encode(text: string): number[] };
