// The tokens that OpenAI's models count and bill, from the vocabularies that js-tiktoken ships.
// Its own encoder is not used: it is quadratic on long runs and throws on `<|endoftext|>` in a text, which is
// ordinary text here, as it is for the embeddings endpoint.
import { createRequire } from "node:module";
import { z } from "zod";
import type { TakePretoken, Tokenizer } from "../document/tokenizer.ts";
import { Failure } from "../failure/failure.ts";
import { countMerged } from "./byte-pairs.ts";
import { NOT_HELD, PretokenCache } from "./pretoken-cache.ts";
import { type EndOfPretoken, endOfCl100k, endOfO200k, endOfPlainWord } from "./pretokens.ts";
import { readVocabulary, type Vocabulary } from "./vocabulary.ts";

export type TiktokenName = "cl100k_base" | "o200k_base";

const ENDS: Readonly<Record<TiktokenName, EndOfPretoken>> = {
  cl100k_base: endOfCl100k,
  o200k_base: endOfO200k,
};

const RanksFile = z.object({ bpe_ranks: z.string().min(1) });

/**
 * Opens an encoding by its name; its vocabulary (1 to 2 MB) is read at the first text, in 0.1 to 0.3 s.
 * Throws `embed.model-missing` then, when it is absent or damaged.
 */
export function openTiktoken(name: TiktokenName): Tokenizer {
  const endOfPretoken = ENDS[name];
  const cache = new PretokenCache();
  const utf8 = new Utf8();
  let vocabulary: Vocabulary | null = null;

  const scan = (text: string, from: number, take: TakePretoken): void => {
    vocabulary ??= openVocabulary(name);
    for (let at = from, end = from; at < text.length; at = end) {
      end = endOfPlainWord(text, at);
      if (end < 0) end = endOfPretoken(text, at);
      let tokens = cache.tokensOf(text, at, end);
      if (tokens === NOT_HELD) {
        const length = utf8.write(text, at, end);
        tokens = countMerged(utf8.bytes, length, vocabulary);
        cache.keep(text, at, end, tokens);
      }
      if (take(end, tokens)) return;
    }
  };

  return {
    name,
    count(text) {
      let tokens = 0;
      scan(text, 0, (_, count) => {
        tokens += count;
        return false;
      });
      return tokens;
    },
    scan,
  };
}

/** The bytes of one pretoken after the other in the same array. */
class Utf8 {
  static readonly #kept = 4096;
  readonly #encoder = new TextEncoder();
  readonly #short = new Uint8Array(Utf8.#kept);
  bytes: Uint8Array = this.#short;

  /** Number of bytes. */
  write(text: string, from: number, end: number): number {
    // A UTF-16 unit takes three bytes at most.
    if (3 * (end - from) > Utf8.#kept) {
      this.bytes = this.#encoder.encode(text.slice(from, end));
      return this.bytes.length;
    }
    this.bytes = this.#short;
    for (let at = from; at < end; at++) {
      const unit = text.charCodeAt(at);
      if (unit >= 128) return this.#encoder.encodeInto(text.slice(from, end), this.#short).written;
      this.#short[at - from] = unit;
    }
    return end - from;
  }
}

function openVocabulary(name: TiktokenName): Vocabulary {
  try {
    // Required, not imported: the first count may not wait, and start-up must not read it.
    return readVocabulary(
      RanksFile.parse(createRequire(import.meta.url)(`js-tiktoken/ranks/${name}`)).bpe_ranks,
    );
  } catch (thrown) {
    throw new Failure("embed.model-missing", {
      says: `The vocabulary ${name} cannot be read. Install the packages again.`,
      cause: thrown,
    });
  }
}
