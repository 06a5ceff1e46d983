// What each character is to the rules that cut text into pretokens, by table: asking a regular expression about each
// run took a fifth of all counting, and overflowed its stack on a run of a million letters.

/** Classes are bits, for a character is of several. Each is of LETTER, DIGIT, SPACE or SIGN. */
export const LETTER = 1;
export const DIGIT = 2;
/** JavaScript's `\s`, as js-tiktoken has it. */
export const SPACE = 4;
/** `[^\s\p{L}\p{N}]`: lone surrogates too. */
export const SIGN = 8;
/** `[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]`: what a word of o200k may begin with. */
export const OPENING = 16;
/** `[\p{Ll}\p{Lm}\p{Lo}\p{M}]`: what it may go on with. */
export const INNER = 32;

/** By code point; 0 is not known yet. Surrogates stay 0: what they are depends on their neighbour. */
const known = new Uint8Array(0x110000);

/** Classes of the character that the unit at `at` belongs to, be it its first or its second; 0 behind the end. */
export function classesAt(text: string, at: number): number {
  if (at >= text.length) return 0;
  return known[text.charCodeAt(at)] || classesOf(pointAround(text, at));
}

function classesOf(point: number): number {
  if (point >= 0xd800 && point <= 0xdfff) return SIGN;
  const before = known[point] ?? 0;
  if (before !== 0) return before;
  const character = String.fromCodePoint(point);
  let classes = SIGN;
  if (/\p{L}/u.test(character)) classes = LETTER;
  else if (/\p{N}/u.test(character)) classes = DIGIT;
  else if (/\s/u.test(character)) classes = SPACE;
  if (/[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]/u.test(character)) classes |= OPENING;
  if (/[\p{Ll}\p{Lm}\p{Lo}\p{M}]/u.test(character)) classes |= INNER;
  known[point] = classes;
  return classes;
}

function pointAround(text: string, at: number): number {
  const isSecond = isLow(text.charCodeAt(at)) && at > 0 && isHigh(text.charCodeAt(at - 1));
  return text.codePointAt(isSecond ? at - 1 : at) ?? 0;
}

/** The place behind the character that begins at `at`. */
export const afterCharacter = (text: string, at: number): number =>
  isHigh(text.charCodeAt(at)) && at + 1 < text.length && isLow(text.charCodeAt(at + 1)) ? at + 2 : at + 1;

const isHigh = (unit: number): boolean => (unit & 0xfc00) === 0xd800;
const isLow = (unit: number): boolean => (unit & 0xfc00) === 0xdc00;
