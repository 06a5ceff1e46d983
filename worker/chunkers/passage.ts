// A stretch of the source whose text may share a chunk: one section, one speaker, glued by white space.
// Holds only what is not yet cut, as pieces (words with the white space before them), each counted once.
// Sums of pieces choose a cut; they are not what the tokenizer says about the joined text.
import { SECTION_SEPARATOR, type Segment } from "../document/segment.ts";
import { type Boundary, boundaryAt, GRAPHEME, PARAGRAPH } from "./boundary.ts";
import { codePointEdge, edgeNear } from "./grapheme-edge.ts";
import type { TokenMeter } from "./token-meter.ts";
import type { Word } from "./words.ts";

/** A segment and the offset of its first unit in the source. */
export type PlacedSegment = { readonly segment: Segment; readonly start: number };

export type Piece = {
  readonly from: PlacedSegment;
  /** Offsets in the source. */
  readonly start: number;
  readonly end: number;
  /** Tokens of the text up to and with this one, by the meter's sums. */
  readonly tokensThrough: number;
  /** How good a place to cut its end is; PARAGRAPH until the next piece is known. */
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
  readonly pieces: Piece[] = [];
  /** Index of the first piece that no chunk holds yet; those before it are overlap. */
  fresh = 0;
  readonly #meter: TokenMeter;
  #room: Room;
  /** Tokens of the text before the first piece and its white space, by the meter's sums. */
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
    const { length } = this.pieces;
    if (length === 0 || section === null || this.section === null) return false;
    if (!section.startsWith(this.section + SECTION_SEPARATOR)) return false;
    if (this.#at(length - 1).end - this.#at(0).start > 2 * this.section.length + HEADING_MARKS) return false;
    return lettersOf(this.section).endsWith(lettersOf(this.text(0, length - 1)));
  }

  /** What the next chunk may take, prefix left out. */
  giveRoom(room: Room): void {
    this.#room = room;
  }

  /** `gap` is all white space between the last piece and this word, of blank segments too. */
  add(from: PlacedSegment, word: Word, gap: string): void {
    const text = from.segment.content;
    const start = from.start + word.start;
    const previous = this.pieces.at(-1);
    if (previous !== undefined) {
      const lineLength = previous.end - this.#lineStart;
      previous.boundary =
        gap === "" ? this.#ending : boundaryAt(this.#ending, gap, text, word.start, lineLength);
    }
    if (previous === undefined || (gap !== " " && /[\n\r]/.test(gap))) this.#lineStart = start;
    const end = from.start + word.end;
    const tokensThrough = this.#meter.through(previous === undefined ? start : start - gap.length, end);
    if (previous === undefined) this.#tokensBefore = this.#meter.before(start, end, tokensThrough);
    this.pieces.push({ from, start, end, tokensThrough, boundary: PARAGRAPH });
    this.#ending = word.ending;
  }

  /** The source text of pieces `first` to `last`. */
  text(first: number, last: number): string {
    return this.#meter.text(this.#at(first).start, this.#at(last).end);
  }

  /** Exactly the tokens of that text. */
  count(first: number, last: number): number {
    return this.#meter.count(this.#at(first).start, this.#at(last).end);
  }

  /** Share of the room that pieces 0 to `last` take by the sums: 1 is full. */
  share(last: number): number {
    const first = this.#at(0);
    const end = this.#at(last);
    const tokens = end.tokensThrough - this.#tokensBefore;
    return Math.max(tokens / this.#room.tokens, (end.end - first.start) / this.#room.chars);
  }

  /** More than `share` is waiting to be cut. */
  isFuller(share: number): boolean {
    return this.pieces.length > 0 && this.share(this.pieces.length - 1) > share;
  }

  /** The same for pieces `first` to `last`; `first` is above 0. */
  shareOf(first: number, last: number): number {
    const chars = this.#at(last).end - this.#at(first).start;
    return Math.max(this.sum(first, last) / this.#room.tokens, chars / this.#room.chars);
  }

  /** Tokens of pieces `first` to `last` by the sums. `first` is above 0. */
  sum(first: number, last: number): number {
    return this.#at(last).tokensThrough - this.#at(first - 1).tokensThrough;
  }

  /** Where pieces 0 to `last` come from. */
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

  /** The next chunk begins at piece `first`, and what no chunk holds yet at piece `fresh`. */
  advance(first: number, fresh: number): void {
    this.pieces.splice(0, first);
    this.fresh = fresh - first;
    const next = this.pieces[0];
    if (next === undefined) return;
    this.#tokensBefore = this.#meter.before(next.start, next.end, next.tokensThrough);
    this.#meter.forget(next.start);
  }

  /**
   * Halves the first piece, between clusters where it has several, else between code points.
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
    this.pieces.splice(
      0,
      1,
      { from, start, end: cut, tokensThrough: through, boundary: GRAPHEME },
      { from, start: cut, end, tokensThrough, boundary },
    );
    this.#tokensBefore = through - this.#meter.count(start, cut);
    return true;
  }

  #at(index: number): Piece {
    const piece = this.pieces[index];
    if (piece === undefined) throw new RangeError(`no piece ${index} of ${this.pieces.length}`);
    return piece;
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
