// Where a pretoken ends: byte pairs are merged inside pretokens, never across. Each function does by table what its
// vocabulary's regular expression (`pat_str`) does at a place, for runs of any length; tests hold it against that.
import {
  afterCharacter,
  classesAt,
  DIGIT,
  INNER,
  LETTER,
  OPENING,
  SIGN,
  SPACE,
} from "./character-classes.ts";

/** The end of the pretoken that begins at `at`, which lies before the text's end and inside no surrogate pair. */
export type EndOfPretoken = (text: string, at: number) => number;

const NOWHERE = -1;

/** `'s|…|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+` */
export const endOfCl100k: EndOfPretoken = (text, at) => {
  const classes = classesAt(text, at);
  if ((classes & LETTER) !== 0) return endOfRun(text, at, LETTER);
  if ((classes & DIGIT) !== 0) return endOfNumber(text, at);
  const contracted = endOfContraction(text, at);
  if (contracted > at) return contracted;
  const next = afterCharacter(text, at);
  if (!isLineBreak(text.charCodeAt(at)) && (classesAt(text, next) & LETTER) !== 0)
    return endOfRun(text, next, LETTER);
  return endOfSignsOrSpace(text, at, classes, false);
};

/**
 * `[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+('s|…)?`, the same with `+` and `*`
 * exchanged, then as in cl100k, but that signs take slashes with their line breaks.
 */
export const endOfO200k: EndOfPretoken = (text, at) => {
  const classes = classesAt(text, at);
  if ((classes & DIGIT) !== 0) return endOfNumber(text, at);
  const mayLead = (classes & LETTER) === 0 && !isLineBreak(text.charCodeAt(at));
  const next = mayLead ? afterCharacter(text, at) : at;
  let end = endOfSmallWord(text, next);
  if (end === NOWHERE && mayLead) end = endOfSmallWord(text, at);
  // No small letter follows, or the word would have been a small one: only capitals are left.
  if (end === NOWHERE && (classesAt(text, next) & OPENING) !== 0) end = endOfRun(text, next, OPENING);
  return end === NOWHERE ? endOfSignsOrSpace(text, at, classes, true) : endOfContraction(text, end);
};

/** `[OPENING]*[INNER]+` as an expression matches it: what opens takes all it can, and gives back what must follow. */
function endOfSmallWord(text: string, start: number): number {
  let at = start;
  let afterInner = NOWHERE;
  for (let classes = classesAt(text, at); (classes & OPENING) !== 0; classes = classesAt(text, at)) {
    at++;
    if ((classes & INNER) !== 0) afterInner = at;
  }
  return (classesAt(text, at) & INNER) !== 0 ? endOfRun(text, at, INNER) : afterInner;
}

/** Behind an `'s` or the like that stands at `at`; `at` where there is none. */
function endOfContraction(text: string, at: number): number {
  if (text.charCodeAt(at) !== APOSTROPHE) return at;
  // `| 32` makes small letters of capitals, and no letter of anything else but signs that are none of these.
  const one = text.charCodeAt(at + 1) | 32;
  if (one === S || one === T || one === M || one === D) return at + 2;
  const two = text.charCodeAt(at + 2) | 32;
  return (two === E && (one === R || one === V)) || (one === L && two === L) ? at + 3 : at;
}

/** `\p{N}{1,3}` */
function endOfNumber(text: string, from: number): number {
  let at = from;
  for (let digits = 0; digits < 3 && (classesAt(text, at) & DIGIT) !== 0; digits++)
    at = afterCharacter(text, at);
  return at;
}

/** ` ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+` */
function endOfSignsOrSpace(text: string, from: number, classes: number, withSlashes: boolean): number {
  const first = text.charCodeAt(from) === BLANK ? from + 1 : from;
  if ((classes & SIGN) !== 0 || (first > from && (classesAt(text, first) & SIGN) !== 0)) {
    let end = endOfRun(text, first, SIGN);
    while (isLineBreak(text.charCodeAt(end)) || (withSlashes && text.charCodeAt(end) === SLASH)) end++;
    return end;
  }
  let at = from;
  let afterBreak = NOWHERE;
  for (; (classesAt(text, at) & SPACE) !== 0; at++) if (isLineBreak(text.charCodeAt(at))) afterBreak = at + 1;
  if (afterBreak !== NOWHERE) return afterBreak;
  return at === text.length || at === from + 1 ? at : at - 1;
}

function endOfRun(text: string, from: number, wanted: number): number {
  let at = from;
  while ((classesAt(text, at) & wanted) !== 0) at++;
  return at;
}

const isLineBreak = (unit: number): boolean => unit === 10 || unit === 13;

const BLANK = 32;
const APOSTROPHE = 39;
const SLASH = 47;
const [D, E, L, M, R, S, T, V] = [..."delmrstv"].map((letter) => letter.charCodeAt(0));

/** UTF-16 units; longer ones are rare. */
const LONGEST_PLAIN = 32;

/**
 * The end of a small ASCII word with the blank before it, which is a pretoken in every encoding here and three quarters of
 * those of English; -1 where the text is anything else.
 */
export function endOfPlainWord(text: string, from: number): number {
  const first = text.charCodeAt(from) === BLANK ? from + 1 : from;
  let end = first;
  while (isSmallLetter(text.charCodeAt(end)) && end - first < LONGEST_PLAIN) end++;
  if (end === first || end - first === LONGEST_PLAIN) return NOWHERE;
  if (end === text.length) return end;
  const next = text.charCodeAt(end);
  return next < 128 && next !== APOSTROPHE && !isSmallLetter(next | 32) ? end : NOWHERE;
}

const isSmallLetter = (code: number): boolean => code >= 97 && code <= 122;
