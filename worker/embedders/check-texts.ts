// What no engine refuses by itself: every one gives an empty text a real-looking vector, and some cut long ones.
import type { Tokenizer } from "../document/tokenizer.ts";
import { Failure } from "../failure/failure.ts";
import type { EmbedderLimits } from "./embedder.ts";

/**
 * Throws `embed.input-rejected` with the fact `input` (index) for a text that is empty, only white space, or
 * longer than the model reads; a RangeError for more texts than one request may hold, which is the caller's
 * mistake and no text's.
 */
export function checkTexts(texts: readonly string[], limits: EmbedderLimits, tokenizer: Tokenizer): void {
  if (texts.length > limits.maxItems)
    throw new RangeError(`${texts.length} texts in one request, ${limits.maxItems} allowed`);
  for (const [input, text] of texts.entries()) {
    if (text.trim() === "") throw emptyInput(input);
    // No token is shorter than a byte: most texts need no counting, which costs more than all checks together.
    if (mostTokens(text) <= limits.maxTokensPerInput) continue;
    const tokens = tokenizer.count(text);
    if (tokens > limits.maxTokensPerInput) throw inputTooLong(input, tokens, limits.maxTokensPerInput);
  }
}

/** An upper bound of the tokens in a text by any of our tokenizers: its UTF-8 bytes. */
export function mostTokens(text: string): number {
  return Buffer.byteLength(text, "utf8");
}

export function emptyInput(input: number): Failure {
  return new Failure("embed.input-rejected", {
    says: "A piece of this document has no text to embed. Remove it or give it content.",
    facts: { input, reason: "empty" },
  });
}

export function inputTooLong(input: number, tokens: number, limit: number): Failure {
  return new Failure("embed.input-rejected", {
    says: "A piece of this document is longer than the embedding model reads. Lower the chunk size.",
    facts: { input, reason: "too long", tokens, limit },
  });
}
