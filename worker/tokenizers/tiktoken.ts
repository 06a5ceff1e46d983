// The tokens that OpenAI's models count and bill, from the vocabularies that js-tiktoken ships.
// Its own encoder is not used: it is quadratic on long runs and throws on `<|endoftext|>` in a text, which is
// ordinary text here, as it is for the embeddings endpoint.
import { createRequire } from "node:module";
import { z } from "zod";
import type { TakePiece, Tokenizer } from "../document/tokenizer.ts";
import { Failure } from "../failure/failure.ts";
import { countMerged, type Ranks } from "./byte-pairs.ts";

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
    cache.set(piece, tokens);
    return tokens;
  };

  const scan = (text: string, from: number, take: TakePiece): void => {
    encoding ??= readEncoding(name);
    const { pieces, ranks } = encoding;
    for (let at = from, end = from; at < text.length; at = end) {
      end = endOfPlainWord(text, at);
      let tokens = end < 0 ? UNKNOWN : plainWords.tokensOf(text, at, end);
      if (end < 0) {
        pieces.lastIndex = at;
        end = at + (pieces.exec(text)?.[0].length ?? 1);
        tokens = countPiece(text.slice(at, end), ranks);
      } else if (tokens === UNKNOWN) {
        const piece = text.slice(at, end);
        tokens = countPiece(piece, ranks);
        plainWords.keep(piece, tokens);
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

const UNKNOWN = -1;
const SLOTS = 1 << 15;

/** Tokens of small words, found where they stand: a Map wants each word cut out and hashed first. */
class PlainWords {
  readonly #words: string[] = Array<string>(SLOTS).fill("");
  readonly #tokens = new Int32Array(SLOTS);

  tokensOf(text: string, from: number, end: number): number {
    const slot = slotOf(text, from, end);
    const word = this.#words[slot] ?? "";
    return word.length === end - from && text.startsWith(word, from)
      ? (this.#tokens[slot] ?? UNKNOWN)
      : UNKNOWN;
  }

  /** Takes the place of another word of the same slot. */
  keep(word: string, tokens: number): void {
    if (word.length > LONGEST_CACHED) return;
    const slot = slotOf(word, 0, word.length);
    this.#words[slot] = word;
    this.#tokens[slot] = tokens;
  }
}

function slotOf(text: string, from: number, end: number): number {
  let hash = 0;
  for (let at = from; at < end; at++) hash = (Math.imul(hash, 31) + text.charCodeAt(at)) | 0;
  return (hash ^ (hash >>> 15)) & (SLOTS - 1);
}

const SPACE = 32;
const APOSTROPHE = 39;

/**
 * The end of a small ASCII word and the space before it, which is a piece in every encoding here: it spares three
 * quarters of the pieces of English the regular expression. -1 where the text is anything else.
 */
function endOfPlainWord(text: string, from: number): number {
  const first = text.charCodeAt(from) === SPACE ? from + 1 : from;
  let end = first;
  while (isSmallLetter(text.charCodeAt(end))) end++;
  if (end === first || end === text.length) return end === first ? -1 : end;
  const next = text.charCodeAt(end);
  return next < 128 && next !== APOSTROPHE && !isSmallLetter(next | 32) ? end : -1;
}

const isSmallLetter = (code: number): boolean => code >= 97 && code <= 122;

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
