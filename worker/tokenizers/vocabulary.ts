// A byte-pair vocabulary in flat arrays: as strings in a Map it took twice as long to read, and a string to be cut out
// for each look into it. A token is its rank; ranks rise from 0 without gaps, and every byte is a token.
import { ByteTrie, GOLDEN } from "./byte-trie.ts";

export const NO_TOKEN = -1;
const UNKNOWN = -2;
const BYTES = 256;
const KNOWN_BITS = 14;

/** All tokens' bytes, one token behind the other by rising rank, and where each ends. */
type TokenList = { readonly bytes: Uint8Array; readonly ends: Int32Array };

export class Vocabulary {
  readonly #bytes: Uint8Array;
  readonly #ends: Int32Array;
  readonly #trie: ByteTrie;
  /** The token that is exactly a node's bytes, and each token's node. */
  readonly #tokenAt: Int32Array;
  readonly #nodeOf: Int32Array;
  readonly #prefixes: Int32Array;
  /** The first of the two tokens that merge into each, once somebody has asked. */
  readonly #lefts: Int32Array;
  readonly #rights: Int32Array;
  /** What `areNeighbours` answered: the left one, and the right one or its complement. */
  readonly #known = new Int32Array(2 << KNOWN_BITS).fill(NO_TOKEN);

  constructor({ bytes, ends }: TokenList) {
    this.#bytes = bytes;
    this.#ends = ends;
    this.#trie = new ByteTrie(bytes.length);
    this.#nodeOf = new Int32Array(ends.length);
    const tokenAt = new Int32Array(BYTES + bytes.length).fill(NO_TOKEN);
    const parents = new Int32Array(BYTES + bytes.length);
    let at = 0;
    for (const [token, end] of ends.entries()) {
      let node = bytes[at] ?? 0;
      for (at++; at < end; at++) {
        const size = this.#trie.size;
        const next = this.#trie.grow(node, bytes[at] ?? 0);
        if (next === size) parents[next] = node;
        node = next;
      }
      tokenAt[node] = token;
      this.#nodeOf[token] = node;
    }
    if (tokenAt.subarray(0, BYTES).includes(NO_TOKEN)) throw new Error("the vocabulary lacks a byte");
    this.#tokenAt = tokenAt.slice(0, this.#trie.size);
    this.#prefixes = prefixesOf(this.#tokenAt, parents, ends.length);
    this.#lefts = new Int32Array(ends.length).fill(UNKNOWN);
    this.#rights = new Int32Array(ends.length);
  }

  /** Number of bytes. */
  lengthOf(token: number): number {
    return (this.#ends[token] ?? 0) - this.#startOf(token);
  }

  /** The longest token that `token` begins with, itself left out. */
  prefixOf(token: number): number {
    return this.#prefixes[token] ?? NO_TOKEN;
  }

  /** The longest token that begins at a place of a text. */
  longestAt(bytes: Uint8Array, at: number, end: number): number {
    let node = bytes[at] ?? 0;
    let longest = this.#tokenAt[node] ?? NO_TOKEN;
    for (let next = at + 1; next < end; next++) {
      node = this.#trie.child(node, bytes[next] ?? 0);
      if (node === 0) break;
      const token = this.#tokenAt[node] ?? NO_TOKEN;
      if (token !== NO_TOKEN) longest = token;
    }
    return longest;
  }

  /** Whether byte-pair merging leaves these two side by side when their bytes stand alone. */
  areNeighbours(left: number, right: number): boolean {
    const known = this.#known;
    const slot = 2 * ((Math.imul(left, GOLDEN) + Math.imul(right, 0x85ebca6b)) >>> (32 - KNOWN_BITS));
    if (known[slot] === left) {
      if (known[slot + 1] === right) return true;
      if (known[slot + 1] === ~right) return false;
    }
    const answer = this.#stayApart(left, right, Number.POSITIVE_INFINITY);
    known[slot] = left;
    known[slot + 1] = answer ? right : ~right;
    return answer;
  }

  /**
   * Both are taken apart again,
   * the merge that came last first, and at no time may the two at the seam have been the better pair.
   * `below`: only merges into tokens of lower rank are done.
   */
  #stayApart(left: number, right: number, below: number): boolean {
    let before = left;
    let after = right;
    let limit = below;
    for (;;) {
      const merged = this.#joined(before, after);
      if (merged !== NO_TOKEN && merged < limit) return false;
      if (this.#isByte(after) || (before > after && !this.#isByte(before))) {
        if (this.#isByte(before)) return true;
        limit = before;
        before = this.#rights[before] ?? NO_TOKEN;
      } else {
        // The pair at the seam stands left of that merge: of equal ranks it would have come first.
        limit = after + 1;
        after = this.#lefts[after] ?? NO_TOKEN;
      }
    }
  }

  /** The token that is both one behind the other. */
  #joined(left: number, right: number): number {
    let node = this.#nodeOf[left] ?? 0;
    const end = this.#ends[right] ?? 0;
    for (let at = this.#startOf(right); at < end; at++) {
      node = this.#trie.child(node, this.#bytes[at] ?? 0);
      if (node === 0) return NO_TOKEN;
    }
    return this.#tokenAt[node] ?? NO_TOKEN;
  }

  /** Asked before a token is taken apart: finds its parts where nobody did before. */
  #isByte(token: number): boolean {
    if (this.#lefts[token] === UNKNOWN) this.#takeApart(token);
    return this.#lefts[token] === token;
  }

  /** The one pair that stays apart without this token, and merges into it. */
  #takeApart(token: number): void {
    const start = this.#startOf(token);
    const end = this.#ends[token] ?? 0;
    if (end - start === 1) {
      this.#lefts[token] = token;
      return;
    }
    for (let left = this.prefixOf(token); left !== NO_TOKEN; left = this.prefixOf(left)) {
      const right = this.#exactly(start + this.lengthOf(left), end);
      if (left > token || right > token || right === NO_TOKEN) continue;
      if (!this.#stayApart(left, right, token)) continue;
      this.#lefts[token] = left;
      this.#rights[token] = right;
      return;
    }
    throw new Error("a token of the vocabulary is made by no merge");
  }

  /** The token that is exactly these bytes of the vocabulary's. */
  #exactly(start: number, end: number): number {
    let node = this.#bytes[start] ?? 0;
    for (let at = start + 1; at < end; at++) {
      node = this.#trie.child(node, this.#bytes[at] ?? 0);
      if (node === 0) return NO_TOKEN;
    }
    return this.#tokenAt[node] ?? NO_TOKEN;
  }

  #startOf(token: number): number {
    return this.#ends[token - 1] ?? 0;
  }
}

/** Nodes were made from the outermost in: what is above each is known before it. */
function prefixesOf(tokenAt: Int32Array, parents: Int32Array, tokens: number): Int32Array {
  const prefixes = new Int32Array(tokens).fill(NO_TOKEN);
  const longest = tokenAt.slice();
  for (let node = BYTES; node < tokenAt.length; node++) {
    const above = longest[parents[node] ?? 0] ?? NO_TOKEN;
    const token = tokenAt[node] ?? NO_TOKEN;
    if (token === NO_TOKEN) longest[node] = above;
    else prefixes[token] = above;
  }
  return prefixes;
}

/**
 * Reads js-tiktoken's form: lines of `! offset token token …`, tokens in base64, ranks rising by one along the line.
 * Throws where it is anything else.
 */
export function readVocabulary(lines: string): Vocabulary {
  const bytes = new Uint8Array(Math.ceil(lines.length * 0.75));
  const ends: number[] = [];
  let size = 0;
  for (const line of lines.split("\n")) {
    if (line === "") continue;
    const tokens = line.indexOf(" ", 2) + 1;
    if (!line.startsWith("! ") || Number(line.slice(2, tokens)) !== ends.length)
      throw new Error("a line of the vocabulary has no offset, or another than the next");
    let bits = 0;
    let held = 0;
    for (let at = tokens; at <= line.length; at++) {
      const code = at < line.length ? line.charCodeAt(at) : BLANK;
      if (code === BLANK) {
        ends.push(size);
        held = 0;
      } else if (code !== PADDING) {
        const value = BASE64[code] ?? NO_DIGIT;
        if (value === NO_DIGIT) throw new Error("the vocabulary is no base64");
        bits = (bits << 6) | value;
        held += 6;
        if (held < 8) continue;
        held -= 8;
        bytes[size++] = bits >> held;
      }
    }
  }
  return new Vocabulary({ bytes: bytes.slice(0, size), ends: Int32Array.from(ends) });
}

const BLANK = 32;
const PADDING = 61;
const NO_DIGIT = 255;
// Decoding each token by Buffer took three times as long.
const BASE64 = new Uint8Array(128).fill(NO_DIGIT);
for (const [value, digit] of [
  ..."ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
].entries())
  BASE64[digit.charCodeAt(0)] = value;
