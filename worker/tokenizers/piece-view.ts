// Finds pieces in texts of any length by an expression that was written for short ones.

/**
 * Longest piece, in UTF-16 units. The regular expression overflows the stack on a run of a million letters, and merging
 * them takes longer than in proportion. A longer run is cut there, at the cost of a token or two for each cut.
 */
const LONGEST_PIECE = 1 << 16;

/** No piece depends on more units behind its end, white space aside: `'ve` belongs to the word before it. */
const LONGEST_LOOK = 4;

/** What the regular expression sees of a long text: a window that moves on with it. */
export class PieceView {
  readonly #text: string;
  #start = 0;
  #part: string;
  /** Where the last sign that is no white space stands. */
  #lastSign = 0;

  constructor(text: string) {
    this.#text = text;
    this.#part = "";
    this.#moveTo(0);
  }

  /** The end of the piece that begins at `at`; call it with rising places. `pieces` matches at any place. */
  endOfPiece(at: number, pieces: RegExp): number {
    if (at >= this.#start + this.#part.length) this.#moveTo(at);
    for (;;) {
      pieces.lastIndex = at - this.#start;
      const end = at + (pieces.exec(this.#part)?.[0].length ?? 1);
      // What ends near the border might end elsewhere if more were seen.
      const isSure =
        end + LONGEST_LOOK <= this.#lastSign || this.#start + this.#part.length === this.#text.length;
      if (isSure || at === this.#start) return end;
      this.#moveTo(at);
    }
  }

  #moveTo(at: number): void {
    this.#start = at;
    this.#part = this.#text.slice(at, codePointEnd(this.#text, at + LONGEST_PIECE));
    if (at + this.#part.length < this.#text.length) this.#lastSign = at + this.#part.trimEnd().length - 1;
  }
}

const codePointEnd = (text: string, wish: number): number =>
  (text.charCodeAt(wish) & 0xfc00) === 0xdc00 && (text.charCodeAt(wish - 1) & 0xfc00) === 0xd800
    ? wish + 1
    : wish;
