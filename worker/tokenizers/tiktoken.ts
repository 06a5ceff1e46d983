// The tokens that OpenAI's models count and bill, from the vocabularies that js-tiktoken ships.
// Its own encoder is not used: it is quadratic on long runs and throws on `<|endoftext|>` in a text, which is
// ordinary text here, as it is for the embeddings endpoint.
import { createRequire } from "node:module";
import { z } from "zod";
import type { TakePiece, Tokenizer } from "../document/tokenizer.ts";
import { Failure } from "../failure/failure.ts";
import { countMerged, type Ranks } from "./byte-pairs.ts";
import { PieceView } from "./piece-view.ts";
import { endOfPlainWord, PlainWords, UNKNOWN_WORD } from "./plain-words.ts";

export type TiktokenName = "cl100k_base" | "o200k_base";

const RanksFile = z.object({ pat_str: z.string().min(1), bpe_ranks: z.string().min(1) });

type Encoding = { readonly pieces: RegExp; readonly ranks: Ranks };

/** Counts of pieces seen before. A full cache is emptied: rarer than keeping an order costs. */
const CACHED_PIECES = 50_000;
const LONGEST_CACHED = 40;

/**
 * Opens an encoding by its name; its vocabulary (1 to 2 MB) is read at the first text, in 0.1 to 0.3 s.
 * Throws `embed.model-missing` then, when it is absent or damaged.
 */
export function openTiktoken(name: TiktokenName): Tokenizer {
  let encoding: Encoding | null = null;
  const cache = new Map<string, number>();
  const plainWords = new PlainWords();

  const countPiece = (piece: string, ranks: Ranks): number => {
    const known = cache.get(piece);
    if (known !== undefined) return known;
    const bytes = Buffer.from(piece, "utf8").toString("latin1");
    const tokens = ranks.of.has(bytes) ? 1 : countMerged(bytes, ranks);
    if (piece.length > LONGEST_CACHED) return tokens;
    if (cache.size >= CACHED_PIECES) cache.clear();
    // Not the piece itself: a slice keeps alive all the text that it was cut from.
    cache.set(` ${piece}`.slice(1), tokens);
    return tokens;
  };

  const scan = (text: string, from: number, take: TakePiece): void => {
    encoding ??= readEncoding(name);
    const { pieces, ranks } = encoding;
    const view = new PieceView(text);
    for (let at = from, end = from; at < text.length; at = end) {
      end = endOfPlainWord(text, at);
      let tokens: number;
      if (end < 0) {
        end = view.endOfPiece(at, pieces);
        tokens = countPiece(text.slice(at, end), ranks);
      } else {
        tokens = plainWords.tokensOf(text, at, end);
        if (tokens === UNKNOWN_WORD) {
          tokens = countPiece(text.slice(at, end), ranks);
          plainWords.keep(text, at, end, tokens);
        }
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

function readEncoding(name: TiktokenName): Encoding {
  try {
    // Required, not imported: the first count may not wait, and start-up must not read it.
    const file = RanksFile.parse(createRequire(import.meta.url)(`js-tiktoken/ranks/${name}`));
    const pieces = new RegExp(file.pat_str, "gu");
    return { pieces, ranks: readRanks(file.bpe_ranks) };
  } catch (thrown) {
    throw new Failure("embed.model-missing", {
      says: `The vocabulary ${name} cannot be read. Install the packages again.`,
      cause: thrown,
    });
  }
}

/** Lines of `! offset token token …`, tokens in base64, ranks rising by one along the line. */
function readRanks(lines: string): Ranks {
  const ranks = new Map<string, number>();
  let longest = 0;
  for (const line of lines.split("\n")) {
    if (line === "") continue;
    const [, offset, ...tokens] = line.split(" ");
    const from = Number(offset);
    if (!Number.isSafeInteger(from)) throw new Error("a line of the vocabulary has no offset");
    for (const [index, token] of tokens.entries()) {
      const bytes = Buffer.from(token, "base64").toString("latin1");
      longest = Math.max(longest, bytes.length);
      ranks.set(bytes, from + index);
    }
  }
  return { of: ranks, longest };
}
