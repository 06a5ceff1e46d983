// Walks over one segment's text, word by word, without holding more than a word.
// A long stretch without white space (a URL, a line of CJK, a megabyte of one letter) gives many "words".
import {
  type Boundary,
  CLAUSE,
  endingOf,
  GRAPHEME,
  isUnspaced,
  isWhiteSpace,
  SENTENCE,
  WORD,
} from "./boundary.ts";
import { edgeNear } from "./grapheme-edge.ts";

export type Word = {
  readonly start: number;
  readonly end: number;
  /** What the text looks like at its end; GRAPHEME and upwards where the next word follows without a gap. */
  readonly ending: Boundary;
};

/** Nearly every word of a spaced script is shorter; cuts inside a stretch may be this far apart. */
const LONGEST_WORD = 24;
const LONGEST_UNSPACED = 8;
/** A stretch is cut after a sign only beyond this many units: shorter words say too little. */
const SHORTEST_WORD = 8;

/** Walks from word to word; a cursor and not a generator of objects, which took a twelfth of all cutting. */
export class Words implements Word {
  start = 0;
  end = 0;
  ending: Boundary = GRAPHEME;
  readonly #text: string;
  readonly #longestCluster: number;
  #next: number;

  constructor(text: string, longestCluster: number) {
    this.#text = text;
    this.#longestCluster = longestCluster;
    this.#next = afterWhiteSpace(text, 0);
  }

  /** Goes to the next word; false when there is none. */
  next(): boolean {
    const text = this.#text;
    const start = this.#next;
    if (start >= text.length) return false;
    const end = endOfWord(text, start, this.#longestCluster);
    const isInside = end < text.length && !isWhiteSpace(text.charCodeAt(end));
    this.start = start;
    this.end = end;
    this.ending = isInside ? endingInside(text, start, end) : endingOf(text, start, end);
    this.#next = isInside ? end : afterWhiteSpace(text, end);
    return true;
  }
}

function afterWhiteSpace(text: string, from: number): number {
  let at = from;
  while (at < text.length && isWhiteSpace(text.charCodeAt(at))) at++;
  return at;
}

function endOfWord(text: string, start: number, longestCluster: number): number {
  let limit = start + LONGEST_WORD;
  let at = start;
  for (; at < text.length && at < limit; at++) {
    const code = text.charCodeAt(at);
    if (code > 32 && code < 127) continue;
    if (isWhiteSpace(code)) return at;
    if (code < 0x2e80) continue;
    if (!isUnspaced(code)) continue;
    limit = Math.min(limit, Math.max(start + LONGEST_UNSPACED, at + 1));
    if (at > start && endsClause(text, start, at)) {
      const edge = edgeNear(text, start, at, longestCluster);
      if (edge === at) return at;
    }
  }
  if (at >= text.length || isWhiteSpace(text.charCodeAt(at))) return at;
  return edgeNear(text, start, afterSign(text, start, at), longestCluster);
}

/** The text at `at` begins after a pause or the end of a sentence, closing quotes included. */
function endsClause(text: string, start: number, at: number): boolean {
  return endingOf(text, start, at) !== WORD && endingOf(text, at, at + 1) === WORD && !isCloser(text, at);
}

const isCloser = (text: string, at: number): boolean => /^[\p{Pe}\p{Pf}]/u.test(text.slice(at, at + 1));

/** In a long stretch the end of the last sign before `limit`, as in URLs and JSON; `limit` where there is none. */
function afterSign(text: string, start: number, limit: number): number {
  for (let at = limit; at > start + SHORTEST_WORD; at--) if (isSign(text.charCodeAt(at - 1))) return at;
  return limit;
}

const isSign = (code: number): boolean =>
  (code > 32 && code < 48) ||
  (code > 57 && code < 65) ||
  (code > 90 && code < 97) ||
  (code > 122 && code < 127);

function endingInside(text: string, start: number, end: number): Boundary {
  const before = text.charCodeAt(end - 1);
  if (before < 128) {
    if (before === 44 || before === 59) return CLAUSE;
    return isSign(before) ? WORD : GRAPHEME;
  }
  if (!isUnspaced(before)) return GRAPHEME;
  const ending = endingOf(text, start, end);
  return ending === SENTENCE || ending === CLAUSE ? ending : WORD;
}
