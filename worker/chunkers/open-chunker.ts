// The only place that picks a strategy by its name.
import type { Tokenizer } from "../document/tokenizer.ts";
import { Failure } from "../failure/failure.ts";
import type { ChunkLimits, ChunkStrategy, CutChunks } from "./chunker.ts";
import { cutFixed, fixed } from "./fixed.ts";
import { cutRecursively, recursive } from "./recursive.ts";
import { cutSemantically, semantic } from "./semantic.ts";

export type Chunker = { readonly strategy: ChunkStrategy; readonly cut: CutChunks };

/**
 * Opens the strategy of that name. Tokens are counted by the embedder's own tokenizer.
 * Throws `config.invalid` when the name is unknown or the limits leave no room for text.
 */
export function openChunker(name: string, limits: ChunkLimits, tokenizer: Tokenizer): Chunker {
  if (!(limits.tokens >= 1 && limits.overlapTokens >= 0 && limits.chars >= 0))
    throw new Failure("config.invalid", {
      says: "A chunk needs a budget of at least one token.",
      facts: { tokens: limits.tokens, overlapTokens: limits.overlapTokens, chars: limits.chars },
    });
  switch (name) {
    case "recursive":
      return { strategy: recursive, cut: cutRecursively(limits, tokenizer) };
    case "fixed":
      return { strategy: fixed, cut: cutFixed(limits, tokenizer) };
    case "semantic":
      return { strategy: semantic, cut: cutSemantically(limits, tokenizer) };
    default:
      throw new Failure("config.invalid", {
        says: `RAG_CHUNK_STRATEGY names an unknown strategy. Set it to recursive, semantic or fixed.`,
        facts: { strategy: name },
      });
  }
}
