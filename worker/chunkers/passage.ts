// A stretch of the source whose text may share a chunk: one section, one speaker, glued by white space.
// Holds only what is not yet cut, word by word, each counted once with the white space before it.
// Sums of words choose a cut; they are not what the tokenizer says about the joined text.
import { SECTION_SEPARATOR, type Segment } from "../document/segment.ts";
import { type Boundary, boundaryAt, GRAPHEME, PARAGRAPH } from "./boundary.ts";
import { SEAM_UNITS } from "./chunker.ts";
import { codePointEdge, edgeNear } from "./grapheme-edge.ts";
import type { TokenMeter } from "./token-meter.ts";
import type { Word } from "./words.ts";

/** A segment and the offset of its first unit in the source. */
export type PlacedSegment = { readonly segment: Segment; readonly start: number };

/** A word with its place in the source: the least that a chunk takes whole. */
export type PlacedWord = {
  readonly from: PlacedSegment;
  /** Offsets in the source. */
  readonly start: number;
  readonly end: number;
  /** Tokens of the text up to and with this word, by the meter's sums. */
  readonly tokensThrough: number;
  /** How good a place to cut its end is; PARAGRAPH until the next word is known. */
  boundary: Boundary;
};

export type Room = { readonly tokens: number; readonly chars: number };

export type Origin = {
  readonly first: Segment;
  readonly final: Segment;
  readonly charStart: number;
  /** Least start and greatest end of the segments touched. */
  readonly startedMs: number | null;
  readonly endedMs: number | null;
};

/** More white space than this ends a passage: nobody wants it inside a chunk. UTF-16 units. */
export const WIDEST_GAP = 1_000;

export class Passage {
  section: string | null;
  readonly speaker: string | null;
  readonly words: PlacedWord[] = [];
  /** Index of the first word that no chunk holds yet; those before it are overlap. */
  fresh = 0;
  readonly #meter: TokenMeter;
  #room: Room;
  /** Tokens of the text before the first word and its white space, by the meter's sums. */
  #tokensBefore = 0;
  #lineStart = 0;
  #ending: Boundary = PARAGRAPH;

  constructor(first: Segment, room: Room, meter: TokenMeter) {
    this.section = first.section;
    this.speaker = first.speaker;
    this.#room = room;
    this.#meter = meter;
  }

  /**
   * Nothing but the headings that the section path ends with: no chunk anybody wants to find. Such a passage
   * goes on into the section below it, whose path still names them.
   */
  leadsInto(section: string | null): boolean {
    const { length } = this.words;
    if (length === 0 || section === null || this.section === null) return false;
    if (!section.startsWith(this.section + SECTION_SEPARATOR)) return false;
    if (this.#at(length - 1).end - this.#at(0).start > 2 * this.section.length + HEADING_MARKS) return false;
    return lettersOf(this.section).endsWith(lettersOf(this.text(0, length - 1)));
  }

  /** What the next chunk may take, prefix left out. */
  giveRoom(room: Room): void {
    this.#room = room;
  }

  /** `gap` is all white space between the last word and this word, of blank segments too. */
  add(from: PlacedSegment, word: Word, gap: string): void {
    const text = from.segment.content;
    const start = from.start + word.start;
    const previous = this.words[this.words.length - 1];
    if (previous !== undefined) {
      const lineLength = previous.end - this.#lineStart;
      previous.boundary =
        gap === "" ? this.#ending : boundaryAt(this.#ending, gap, text, word.start, lineLength);
    }
    if (previous === undefined || (gap !== " " && gap !== "" && /[\n\r]/.test(gap))) this.#lineStart = start;
    const end = from.start + word.end;
    const tokensThrough = this.#meter.through(previous === undefined ? start : start - gap.length, end);
    if (previous === undefined) this.#tokensBefore = this.#meter.before(start, end, tokensThrough);
    this.words.push({ from, start, end, tokensThrough, boundary: PARAGRAPH });
    this.#ending = word.ending;
  }

  /** The source text of words `first` to `last`. */
  text(first: number, last: number): string {
    return this.#meter.text(this.#at(first).start, this.#at(last).end);
  }

  /** The first SEAM_UNITS of the text from this word on; "" when there is less. */
  beginning(index: number): string {
    // A word is one unit at least.
    const last = Math.min(index + SEAM_UNITS, this.words.length) - 1;
    const text = index > last ? "" : this.text(index, last);
    return text.length < SEAM_UNITS ? "" : text.slice(0, SEAM_UNITS);
  }

  /** Exactly the tokens of that text. */
  count(first: number, last: number): number {
    return this.#meter.count(this.#at(first).start, this.#at(last).end);
  }

  /** Share of the room that words 0 to `last` take by the sums: 1 is full. */
  share(last: number): number {
    const first = this.#at(0);
    const end = this.#at(last);
    const tokens = end.tokensThrough - this.#tokensBefore;
    return Math.max(tokens / this.#room.tokens, (end.end - first.start) / this.#room.chars);
  }

  /** More than `share` is waiting to be cut. Asked behind every word. */
  isFuller(share: number): boolean {
    const last = this.words[this.words.length - 1];
    if (last === undefined) return false;
    const { tokens, chars } = this.#room;
    return (
      last.tokensThrough - this.#tokensBefore > share * tokens || last.end - this.#at(0).start > share * chars
    );
  }

  /** The same for words `first` to `last`; `first` is above 0. */
  shareOf(first: number, last: number): number {
    const chars = this.#at(last).end - this.#at(first).start;
    return Math.max(this.sum(first, last) / this.#room.tokens, chars / this.#room.chars);
  }

  /** Tokens of words `first` to `last` by the sums. `first` is above 0. */
  sum(first: number, last: number): number {
    return this.#at(last).tokensThrough - this.#at(first - 1).tokensThrough;
  }

  /** Where words 0 to `last` come from. */
  origin(last: number): Origin {
    const first = this.#at(0);
    let startedMs = first.from.segment.startedMs;
    let endedMs = first.from.segment.endedMs;
    let before = first.from;
    for (let index = 1; index <= last; index++) {
      const { from } = this.#at(index);
      if (from === before) continue;
      startedMs = least(startedMs, from.segment.startedMs);
      endedMs = most(endedMs, from.segment.endedMs);
      before = from;
    }
    return { first: first.from.segment, final: before.segment, charStart: first.start, startedMs, endedMs };
  }

  /** The next chunk begins at word `first`, and what no chunk holds yet at word `fresh`. */
  advance(first: number, fresh: number): void {
    this.words.splice(0, first);
    this.fresh = fresh - first;
    const next = this.words[0];
    if (next === undefined) return;
    this.#tokensBefore = this.#meter.before(next.start, next.end, next.tokensThrough);
    this.#meter.forget(next.start);
  }

  /**
   * Halves the first word, between clusters where it has several, else between code points.
   * Returns false when it is a single code point.
   */
  splitFirst(): boolean {
    const { from, start, end, tokensThrough, boundary } = this.#at(0);
    const text = this.text(0, 0);
    const middle = Math.ceil(text.length / 2);
    let edge = text.length > 1 ? edgeNear(text, 0, middle, text.length) : text.length;
    if (edge >= text.length) edge = codePointEdge(text, 0, middle);
    if (edge >= text.length) return false;
    const cut = start + edge;
    const through = tokensThrough - this.#meter.count(cut, end);
    this.words.splice(
      0,
      1,
      { from, start, end: cut, tokensThrough: through, boundary: GRAPHEME },
      { from, start: cut, end, tokensThrough, boundary },
    );
    this.#tokensBefore = through - this.#meter.count(start, cut);
    return true;
  }

  #at(index: number): PlacedWord {
    const word = this.words[index];
    if (word === undefined) throw new RangeError(`no word ${index} of ${this.words.length}`);
    return word;
  }
}

/** Letters and digits alone, for a heading may carry marks and numbers that its path does not. */
const lettersOf = (text: string) => text.replaceAll(/[^\p{L}\p{N}]/gu, "").toLowerCase();
/** UTF-16 units of marks, line breaks and underlines around a heading. */
const HEADING_MARKS = 200;

const least = (one: number | null, other: number | null) =>
  one === null ? other : other === null ? one : Math.min(one, other);
const most = (one: number | null, other: number | null) =>
  one === null ? other : other === null ? one : Math.max(one, other);
