// Tables in the text as it goes by, so that a chunk that begins among a table's rows can repeat its header row.
// A table is what extractors make of one, and Markdown too: lines one below the other, each with "|" between cells.
// The first line is taken for the header. Nothing depends on how the text arrives: only on the words so far.
import type { Word } from "./words.ts";

type Table = {
  /** Of the first line; null when it is longer than anybody would repeat, or not at hand. */
  readonly header: string | null;
  /** Offset of the second line; null until there is one. */
  bodyStart: number | null;
  /** Offset behind the last row so far. */
  end: number;
};

export class TableHeaders {
  readonly #longestHeader: number;
  /** Those that a chunk to come may still begin in, in order. */
  #tables: Table[] = [];
  /** The lines just above belong to the last table. */
  #isOpen = false;
  /** The line so far, once it is a row and may become a header. */
  #line: string | null = null;
  #lineStart = 0;
  #isRow = false;

  /** `longestHeader` in UTF-16 units. */
  constructor(longestHeader: number) {
    this.#longestHeader = longestHeader;
  }

  /** The next word of a segment's text, and the white space before it. `offset` is where the segment begins. */
  add(text: string, word: Pick<Word, "start" | "end">, offset: number, gap: string): void {
    if (gap !== " " && gap !== "") this.#breakLine(gap, offset + word.start);
    if (!this.#isRow && (text.charCodeAt(word.start) === BAR || text.charCodeAt(word.end - 1) === BAR)) {
      this.#isRow = true;
      if (this.#isOpen) this.#last.bodyStart ??= this.#lineStart;
    }
    if (!this.#isRow) return;
    if (this.#isOpen) this.#last.end = offset + word.end;
    // Of a line that began in an earlier segment only the end is at hand: no header anybody would recognise.
    else this.#line = this.#lineStart < offset ? null : text.slice(this.#lineStart - offset, word.end);
  }

  /** The header row to repeat before text that begins at this offset; null where there is none. */
  above(offset: number): string | null {
    for (let at = this.#tables.length - 1; at >= 0; at--) {
      const { header, bodyStart, end } = this.#tables[at] as Table; // SAFETY: at is an index of the array.
      if (offset >= end) return null;
      if (bodyStart !== null && offset >= bodyStart) return header;
    }
    return null;
  }

  /** No chunk will begin before this offset any more. */
  forget(offset: number): void {
    const kept = this.#isOpen ? this.#tables.length - 1 : this.#tables.length;
    let gone = 0;
    while (gone < kept && (this.#tables[gone]?.end ?? 0) <= offset) gone++;
    if (gone > 0) this.#tables = this.#tables.slice(gone);
  }

  get #last(): Table {
    const last = this.#tables.at(-1);
    if (last === undefined) throw new RangeError("no table is open");
    return last;
  }

  /** Notes what the line that ends here was, when the white space holds a line break. */
  #breakLine(gap: string, nextStart: number): void {
    const first = gap.search(/[\n\r\f\u2028\u2029]/);
    if (first < 0) return;
    const isBlankBetween = /\n[^\S\n]*\n|[\f\u2029]/.test(gap);
    if (this.#isRow && !this.#isOpen) {
      const isShort = this.#line !== null && this.#line.length <= this.#longestHeader;
      const header = isShort ? ` ${this.#line}`.slice(1) : null;
      this.#tables.push({ header, bodyStart: null, end: nextStart - gap.length });
      this.#isOpen = true;
    } else if (!this.#isRow) this.#isOpen = false;
    if (isBlankBetween) this.#isOpen = false;
    this.#line = null;
    this.#lineStart = nextStart;
    this.#isRow = false;
  }
}

/** Stands alone between cells, or at an end of a word as in `|name|`. */
const BAR = "|".charCodeAt(0);
