// How an embedder counts: budgets are kept in the tokens of the model that will read the text.

export type Tokenizer = {
  /** For logs and `--explain`, such as `bert-wordpiece` or `cl100k_base`. */
  readonly name: string;
  /** Tokens of the text as the model counts it inside a request, without its special tokens. Linear time. */
  count(text: string): number;
  /**
   * Where it can: walks from `from` over the pretokens of the text, which are counted apart, and tells where each ends
   * and how many tokens it has, until `take` answers true. What a pretoken is depends on the text from its start to
   * the next sign behind it and the white space there, on nothing before it: so the tokens of a stretch are the
   * sum of its pretokens, but for those at its edges.
   */
  scan?(text: string, from: number, take: TakePretoken): void;
};

export type TakePretoken = (end: number, tokens: number) => boolean;

/** For an embedder that runs the model itself: the ids too, without [CLS] and [SEP], never cut short. */
export type EncodingTokenizer = Tokenizer & { encode(text: string): number[] };

/** What a model file says of a lower-casing WordPiece. */
export type WordPieceVocabulary = {
  /** Entries that begin a word, with their ids. */
  readonly heads: ReadonlyMap<string, number>;
  /** Entries that continue one, without the mark that says so. */
  readonly tails: ReadonlyMap<string, number>;
  /** Id of the token for a word that no entries make up. */
  readonly unknown: number;
  /** A longer word is unknown as a whole, in characters. */
  readonly longestWord: number;
};
