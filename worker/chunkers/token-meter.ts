// The text that is being cut, and the tokens of any stretch of it. A tokenizer that can scan is asked about each
// pretoken of the text once, instead of about every word, every chunk and every overlap: two to three times as fast.
import type { Tokenizer } from "../document/tokenizer.ts";
import { isWhiteSpace } from "./boundary.ts";

export type TokenMeter = {
  /** More text at the end. `joined`: a stretch may be asked about that holds text of both sides of the seam. */
  append(text: string, joined: boolean): void;
  text(from: number, to: number): string;
  /** UTF-16 units at the end that would be looked at again if joined text followed. */
  readonly unsettled: number;
  /** Exactly the tokenizer's count of that text. Neither end lies inside a surrogate pair. */
  count(from: number, to: number): number;
  /**
   * Tokens up to the end of a word that begins, its white space included, at `from`. Call it with each word in order.
   * Differences of such sums choose a cut; they are not what the tokenizer says about the joined text.
   */
  through(from: number, end: number): number;
  /** The same up to the start of a word without its white space, given what `through` answered for it. */
  before(start: number, end: number, through: number): number;
  /** The text before this offset is not needed any more. */
  forget(before: number): void;
};

export function openTokenMeter(tokenizer: Tokenizer): TokenMeter {
  return tokenizer.scan === undefined
    ? new CountingMeter(tokenizer)
    : new ScanningMeter(tokenizer, tokenizer.scan);
}

/** Less than this is not worth moving the rest. UTF-16 units. */
const LEAST_FORGOTTEN = 16_384;

/** A stretch of the document's text; offsets are the document's. */
class TextWindow {
  #text = "";
  #start = 0;

  get start(): number {
    return this.#start;
  }

  get end(): number {
    return this.#start + this.#text.length;
  }

  append(text: string): void {
    this.#text += text;
  }

  /** Drops what lies before, when that is worth the trouble. Answers whether it did. */
  forget(before: number): boolean {
    const gone = before - this.#start;
    if (gone < LEAST_FORGOTTEN || gone < this.#text.length / 2) return false;
    this.#text = this.#text.slice(gone);
    this.#start = before;
    return true;
  }

  text(from: number, to: number): string {
    return this.#text.slice(from - this.#start, to - this.#start);
  }

  codeAt(offset: number): number {
    return this.#text.charCodeAt(offset - this.#start);
  }
}

/** For tokenizers that only count. */
class CountingMeter implements TokenMeter {
  readonly #tokenizer: Tokenizer;
  readonly #window = new TextWindow();
  readonly unsettled = 0;
  #sum = 0;

  constructor(tokenizer: Tokenizer) {
    this.#tokenizer = tokenizer;
  }

  append(text: string): void {
    this.#window.append(text);
  }

  text(from: number, to: number): string {
    return this.#window.text(from, to);
  }

  count(from: number, to: number): number {
    return this.#tokenizer.count(this.text(from, to));
  }

  through(from: number, end: number): number {
    this.#sum += this.count(from, end);
    return this.#sum;
  }

  before(start: number, end: number, through: number): number {
    return through - this.count(start, end);
  }

  forget(before: number): void {
    this.#window.forget(before);
  }
}

class ScanningMeter implements TokenMeter {
  readonly #tokenizer: Tokenizer;
  readonly #scan: NonNullable<Tokenizer["scan"]>;
  readonly #window = new TextWindow();
  /** Of each pretoken: where it ends, and the tokens of all pretokens up to and with it. */
  #ends: number[] = [];
  #sums: number[] = [];
  /** Of the pretokens that were forgotten, and where the last of them ended. */
  #sumBefore = 0;
  #endBefore = 0;
  #cursor = 0;

  constructor(tokenizer: Tokenizer, scan: NonNullable<Tokenizer["scan"]>) {
    this.#tokenizer = tokenizer;
    this.#scan = scan;
  }

  append(text: string, joined: boolean): void {
    // More text may change the pretokens at the end: those from the last sign on.
    if (joined) {
      const kept = this.#firstEndingAfter(this.#lastSignBefore(this.#window.end));
      this.#ends.length = kept;
      this.#sums.length = kept;
      this.#cursor = Math.min(this.#cursor, kept);
    }
    const from = joined ? (this.#ends.at(-1) ?? this.#window.start) : this.#window.end;
    this.#window.append(text);
    let sum = this.#sums.at(-1) ?? this.#sumBefore;
    this.#scan.call(this.#tokenizer, this.text(from, this.#window.end), 0, (end, tokens) => {
      sum += tokens;
      this.#ends.push(from + end);
      this.#sums.push(sum);
      return false;
    });
  }

  text(from: number, to: number): string {
    return this.#window.text(from, to);
  }

  get unsettled(): number {
    const kept = this.#firstEndingAfter(this.#lastSignBefore(this.#window.end));
    return this.#window.end - Math.max(this.#window.start, this.#ends[kept - 1] ?? 0);
  }

  /**
   * From `from` on, pretokens are looked for until one ends where one of the whole text does. From there both have the
   * same, but for the one with the last sign before `to`, which might end elsewhere where the text ends.
   */
  count(from: number, to: number): number {
    const last = this.#firstEndingAfter(this.#lastSignBefore(to)) - 1;
    const tail = this.#ends[last] ?? from;
    const text = this.text(from, to);
    let tokens = 0;
    let index = this.#firstEndingAfter(from);
    let isMet = false;
    if (tail > from)
      this.#scan.call(this.#tokenizer, text, 0, (length, count) => {
        const end = from + length;
        if (end > tail) return true;
        tokens += count;
        while ((this.#ends[index] ?? tail) < end) index++;
        isMet = this.#ends[index] === end;
        return isMet;
      });
    if (!isMet) return this.#tokenizer.count(text);
    const between = (this.#sums[last] ?? 0) - (this.#sums[index] ?? 0);
    return tokens + between + this.#tokenizer.count(text.slice(tail - from));
  }

  through(_from: number, end: number): number {
    let index = this.#cursor;
    while ((this.#ends[index] ?? end) < end) index++;
    this.#cursor = index;
    return this.#ends[index] === end ? (this.#sums[index] ?? 0) : Math.ceil(this.#sumAt(index, end));
  }

  before(start: number): number {
    return Math.floor(this.#sumAt(this.#firstEndingAfter(start), start));
  }

  /** Tokens up to an offset inside a pretoken, as if its tokens were equally long. */
  #sumAt(index: number, offset: number): number {
    const before = this.#sums[index - 1] ?? this.#sumBefore;
    const end = this.#ends[index];
    if (end === undefined) return before;
    const start = this.#ends[index - 1] ?? this.#endBefore;
    const share = Math.max(0, Math.min(1, (offset - start) / (end - start)));
    return before + share * ((this.#sums[index] ?? before) - before);
  }

  forget(before: number): void {
    if (!this.#window.forget(before)) return;
    const gone = this.#firstEndingAfter(before);
    this.#sumBefore = this.#sums[gone - 1] ?? this.#sumBefore;
    this.#endBefore = this.#ends[gone - 1] ?? this.#endBefore;
    this.#ends = this.#ends.slice(gone);
    this.#sums = this.#sums.slice(gone);
    this.#cursor = Math.max(0, this.#cursor - gone);
  }

  /** The last unit before `offset` that is no white space. */
  #lastSignBefore(offset: number): number {
    let at = offset - 1;
    while (at >= this.#window.start && isWhiteSpace(this.#window.codeAt(at))) at--;
    return at;
  }

  /** Index of the first pretoken that ends behind the offset. */
  #firstEndingAfter(offset: number): number {
    let low = 0;
    let high = this.#ends.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#ends[middle] ?? 0) <= offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
