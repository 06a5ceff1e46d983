// BERT WordPiece, as MiniLM, BGE, E5 and their relatives read text: lower-case, NFD without marks, CJK and
// punctuation alone, then greedily the longest entry of the vocabulary, `##` inside a word.
// `[SEP]` and the like in a text are ordinary text here, never tokens that steer the model.
import { readFileSync } from "node:fs";
import { z } from "zod";
import type { EncodingTokenizer, WordPieceVocabulary } from "../document/tokenizer.ts";
import { Failure } from "../failure/failure.ts";

const TokenizerFile = z.object({
  model: z.object({
    type: z.literal("WordPiece"),
    unk_token: z.string(),
    continuing_subword_prefix: z.string().min(1),
    max_input_chars_per_word: z.int().positive(),
    // A record schema would take 0.1 s for 30,000 entries; the ids are checked where they are read.
    vocab: z.custom<Readonly<Record<string, unknown>>>(
      (value) => typeof value === "object" && value !== null,
    ),
  }),
  normalizer: z.object({ type: z.literal("BertNormalizer"), lowercase: z.literal(true) }),
});

type Lexicon = WordPieceVocabulary & { readonly longest: number };

/** Ids of words seen before. A full cache is emptied: rarer than keeping an order costs. */
const CACHED_WORDS = 50_000;
const LONGEST_CACHED = 40;

/**
 * Opens the tokenizer whose `tokenizer.json` lies at the path; the file is read at the first text.
 * Throws `embed.model-missing` then, when it is absent or is no lower-casing WordPiece.
 */
export function openWordPiece(path: string): EncodingTokenizer {
  return countWith(() => readLexicon(path));
}

/** The tokenizer of a vocabulary that is in memory already. */
export function openWordPieceOf(vocabulary: WordPieceVocabulary): EncodingTokenizer {
  return countWith(() => withLongest(vocabulary));
}

function countWith(read: () => Lexicon): EncodingTokenizer {
  let lexicon: Lexicon | null = null;
  const cache = new Map<string, readonly number[]>();

  const idsOf = (word: string) => {
    const known = cache.get(word);
    if (known !== undefined) return known;
    lexicon ??= read();
    const ids = cutWord(word, lexicon);
    if (word.length > LONGEST_CACHED) return ids;
    if (cache.size >= CACHED_WORDS) cache.clear();
    cache.set(word, ids);
    return ids;
  };

  return {
    name: "bert-wordpiece",
    count(text) {
      let tokens = 0;
      eachWord(text, 0, (word) => {
        tokens += idsOf(word).length;
        return false;
      });
      return tokens;
    },
    scan(text, from, take) {
      eachWord(text, from, (word, end) => take(end, idsOf(word).length));
    },
    encode(text) {
      const all: number[] = [];
      eachWord(text, 0, (word) => {
        for (const id of idsOf(word)) all.push(id);
        return false;
      });
      return all;
    },
  };
}

function readLexicon(path: string): Lexicon {
  try {
    const { model } = TokenizerFile.parse(JSON.parse(readFileSync(path, "utf8")));
    const heads = new Map<string, number>();
    const tails = new Map<string, number>();
    const prefix = model.continuing_subword_prefix;
    for (const [entry, id] of Object.entries(model.vocab)) {
      if (typeof id !== "number") throw new Error("an entry of the vocabulary has no id");
      if (entry.startsWith(prefix) && entry !== prefix) tails.set(entry.slice(prefix.length), id);
      else heads.set(entry, id);
    }
    const unknown = heads.get(model.unk_token);
    if (unknown === undefined) throw new Error("the vocabulary lacks its unknown token");
    return withLongest({ heads, tails, unknown, longestWord: model.max_input_chars_per_word });
  } catch (thrown) {
    throw new Failure("embed.model-missing", {
      says: `The tokenizer of the embedding model cannot be read from ${path}. Install the packages again.`,
      cause: thrown,
    });
  }
}

function withLongest(vocabulary: WordPieceVocabulary): Lexicon {
  let longest = 0;
  for (const entries of [vocabulary.heads, vocabulary.tails])
    for (const entry of entries.keys()) longest = Math.max(longest, entry.length);
  return { ...vocabulary, longest };
}

const SPACE = 1;
const LETTER = 2;
const SIGN = 3;
/** Everything that needs Unicode rules, ASCII control characters included: BERT drops them inside words. */
const FOREIGN = 0;

const KINDS = new Uint8Array(128);
for (let code = 33; code < 127; code++) KINDS[code] = SIGN;
for (const letter of "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
  KINDS[letter.charCodeAt(0)] = LETTER;
for (const space of " \t\n\r") KINDS[space.charCodeAt(0)] = SPACE;

const kindAt = (text: string, at: number): number => {
  const code = text.charCodeAt(at);
  return code < 128 ? (KINDS[code] ?? FOREIGN) : FOREIGN;
};

/** Normalised words and signs from `from` on, with their ends in the text, until `take` answers true. */
function eachWord(text: string, from: number, take: (word: string, end: number) => boolean): void {
  let at = from;
  while (at < text.length) {
    const kind = kindAt(text, at);
    if (kind === SPACE) {
      at++;
      continue;
    }
    let end = at + 1;
    let word: string;
    if (kind === SIGN) word = text.charAt(at);
    else {
      if (kind === LETTER) while (end < text.length && kindAt(text, end) === LETTER) end++;
      else end = at;
      word = text.slice(at, end).toLowerCase();
      if (end < text.length && kindAt(text, end) === FOREIGN) ({ word, end } = foldWord(text, end, word));
    }
    if (word !== "" && take(word, end)) return;
    at = end;
  }
}

const DROPPED = /^[\p{Cc}\p{Cf}\p{Cs}\p{Co}\uFFFD]/u;
const ALONE =
  /^[\p{P}$+<=>^`|~\u{4E00}-\u{9FFF}\u{3400}-\u{4DBF}\u{20000}-\u{2A6DF}\u{2A700}-\u{2CEAF}\u{F900}-\u{FAFF}\u{2F800}-\u{2FA1F}]/u;

type Folded = { readonly text: string; readonly kind: typeof SPACE | typeof LETTER | typeof SIGN };

/** What becomes of each code point, found once: the rules look at one at a time. Empty text: it vanishes. */
const CACHED_CODES = 65_536;
const folded = new Map<number, Folded>();
const NOTHING: Folded = { text: "", kind: LETTER };

function fold(code: number): Folded {
  const known = folded.get(code);
  if (known !== undefined) return known;
  const character = String.fromCodePoint(code);
  const found = DROPPED.test(character) ? NOTHING : foldVisible(character);
  if (folded.size >= CACHED_CODES) folded.clear();
  folded.set(code, found);
  return found;
}

function foldVisible(character: string): Folded {
  const text = character
    .normalize("NFD")
    .replace(/\p{Mn}+/gu, "")
    .toLowerCase();
  if (/^\s/u.test(text)) return { text: " ", kind: SPACE };
  return { text, kind: ALONE.test(text) ? SIGN : LETTER };
}

/** Goes on with a word where something foreign begins: to its end, or over a sign that stands there alone. */
function foldWord(
  text: string,
  from: number,
  begun: string,
): { readonly word: string; readonly end: number } {
  let word = begun;
  let at = from;
  // Tabs and line breaks are controls to the folding.
  while (at < text.length && kindAt(text, at) !== SPACE) {
    const code = text.codePointAt(at) ?? 0;
    const next = at + (code > 0xffff ? 2 : 1);
    const met = fold(code);
    // What vanishes joins what stands around it, also before the first letter.
    if (met.kind !== LETTER)
      return word === "" ? { word: met.kind === SIGN ? met.text : "", end: next } : { word, end: at };
    word += met.text;
    at = next;
  }
  return { word, end: at };
}

function cutWord(word: string, lexicon: Lexicon): readonly number[] {
  const { heads, tails, longest, unknown, longestWord } = lexicon;
  if (word.length > longestWord && (word.length > 2 * longestWord || [...word].length > longestWord))
    return [unknown];
  const ids: number[] = [];
  let start = 0;
  while (start < word.length) {
    const entries = start === 0 ? heads : tails;
    let end = Math.min(word.length, start + longest);
    let id = entries.get(word.slice(start, end));
    while (id === undefined && end > start + 1) id = entries.get(word.slice(start, --end));
    if (id === undefined) return [unknown];
    ids.push(id);
    start = end;
  }
  return ids;
}
