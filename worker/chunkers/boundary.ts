// How good a place is to cut: the larger the number, the more a reader would agree.
// Rules are simple on purpose: a wrong guess costs a slightly worse cut, never text.

export type Boundary = 0 | 1 | 2 | 3 | 4 | 5;

export const GRAPHEME = 0;
export const WORD = 1;
export const CLAUSE = 2;
export const SENTENCE = 3;
export const LINE = 4;
export const PARAGRAPH = 5;

/** The white space of JavaScript's `\s` and `trim()`, by UTF-16 unit. */
export function isWhiteSpace(code: number): boolean {
  if (code <= 32) return code === 32 || (code >= 9 && code <= 13);
  if (code < 160) return false;
  return (
    code === 0xa0 ||
    code === 0x1680 ||
    (code >= 0x2000 && code <= 0x200a) ||
    code === 0x2028 ||
    code === 0x2029 ||
    code === 0x202f ||
    code === 0x205f ||
    code === 0x3000 ||
    code === 0xfeff
  );
}

/** Scripts that write no spaces between words: a cut after any of their letters is a cut between words. */
export function isUnspaced(code: number): boolean {
  return (
    (code >= 0x2e80 && code <= 0x312f) ||
    (code >= 0x31a0 && code <= 0x9fff) ||
    (code >= 0xf900 && code <= 0xfaff) ||
    (code >= 0xfe30 && code <= 0xfe4f) ||
    (code >= 0xff00 && code <= 0xffef) ||
    (code >= 0xd840 && code <= 0xd888)
  );
}

const CLOSER = 1;
const ENDER = 2;
const PAUSE = 3;
/** By UTF-16 unit: every word is looked at, and most end in none of these. */
const MARKS = new Uint8Array(0x10000);
const mark = (characters: string, as: number) => {
  for (const character of characters) MARKS[character.charCodeAt(0)] = as;
};
mark(`"'\`)]}»”’›*_」』】〉》〕）］｝`, CLOSER);
mark(".!?…。！？．｡؟۔।॥։", ENDER);
mark(",;:—–、，；：،؛", PAUSE);

/** What the text that ends at `end` looks like by itself. Not before `start`. */
export function endingOf(
  text: string,
  start: number,
  end: number,
): typeof WORD | typeof CLAUSE | typeof SENTENCE {
  let last = end - 1;
  while (last > start && MARKS[text.charCodeAt(last)] === CLOSER) last--;
  const code = text.charCodeAt(last);
  if (MARKS[code] === ENDER) return code === 46 && isAbbreviation(text.slice(start, last)) ? WORD : SENTENCE;
  return MARKS[code] === PAUSE ? CLAUSE : WORD;
}

// A short list catches most: the next word's first letter decides about the rest.
const ABBREVIATIONS = new Set(
  "mr mrs ms dr prof st jr sr vs etc al fig figs nos vol pp ed eds cf ca approx inc ltd co dept e.g i.e u.s u.k bzw usw z.b d.h ggf nr".split(
    " ",
  ),
);

function isAbbreviation(word: string): boolean {
  const bare = word.replace(/^[^\p{L}\p{N}]+/u, "").toLowerCase();
  return ABBREVIATIONS.has(bare) || /^\p{L}$/u.test(bare);
}

/** Above this a line that ends in mid-sentence was most likely wrapped by a machine, not ended by its author. */
const WRAPPED_LINE = 40;

/**
 * The boundary at a stretch of white space.
 * @param before what the text before looks like by itself
 * @param gap the white space
 * @param next the text after it, from `at`
 * @param lineLength UTF-16 units of the line that ends here
 */
export function boundaryAt(
  before: Boundary,
  gap: string,
  next: string,
  at: number,
  lineLength: number,
): Boundary {
  const breaks = gap.length === 1 && gap === " " ? 0 : lineBreaksIn(gap);
  if (breaks >= 2) return PARAGRAPH;
  if (breaks === 0) return before === SENTENCE && isLowerCase(next, at) ? WORD : before;
  if (before === SENTENCE) return LINE;
  const wrapped = isLowerCase(next, at) || (lineLength >= WRAPPED_LINE && isLetter(next, at));
  return wrapped ? CLAUSE : LINE;
}

function lineBreaksIn(gap: string): number {
  let breaks = 0;
  for (let at = 0; at < gap.length; at++) {
    const code = gap.charCodeAt(at);
    if (code === 10 || code === 12 || code === 0x2028) breaks++;
    else if (code === 13 && gap.charCodeAt(at + 1) !== 10) breaks++;
    else if (code === 0x2029) breaks += 2;
  }
  return breaks;
}

function isLowerCase(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  if (code < 128) return code >= 97 && code <= 122;
  return /^\p{Ll}/u.test(text.slice(at, at + 2));
}

function isLetter(text: string, at: number): boolean {
  const code = text.charCodeAt(at) | 32;
  if (code < 128) return code >= 97 && code <= 122;
  return /^\p{L}/u.test(text.slice(at, at + 2));
}
