// What the bench compares: something that cuts a text into chunks of at most so many tokens.

/** The chunks in order. */
export type Split = (text: string) => Promise<readonly string[]>;

export type SplitterName = "ours" | "langchain" | "langchain, js-tiktoken" | "llamaindex";

export type SplitterOptions = {
  readonly tokens: number;
  readonly overlapTokens: number;
};
