// The fast way for small ASCII words, three quarters of the pieces of English: no regular expression finds them, and
// no string is made to look them up.

/** What `tokensOf` answers for a word that it does not know. */
export const UNKNOWN_WORD = -1;
const SLOTS = 1 << 15;

/** Tokens of small words, found where they stand: a Map wants each word cut out and hashed first. */
export class PlainWords {
  readonly #words: string[] = Array<string>(SLOTS).fill("");
  readonly #tokens = new Int32Array(SLOTS);

  tokensOf(text: string, from: number, end: number): number {
    const slot = slotOf(text, from, end);
    const word = this.#words[slot] ?? "";
    return word.length === end - from && text.startsWith(word, from)
      ? (this.#tokens[slot] ?? UNKNOWN_WORD)
      : UNKNOWN_WORD;
  }

  /** Takes the place of another word of the same slot. */
  keep(text: string, from: number, end: number, tokens: number): void {
    const slot = slotOf(text, from, end);
    // A copy: a slice keeps alive all the text that it was cut from.
    this.#words[slot] = `.${text.slice(from, end)}`.slice(1);
    this.#tokens[slot] = tokens;
  }
}

function slotOf(text: string, from: number, end: number): number {
  let hash = 0;
  for (let at = from; at < end; at++) hash = (Math.imul(hash, 31) + text.charCodeAt(at)) | 0;
  return (hash ^ (hash >>> 15)) & (SLOTS - 1);
}

/** UTF-16 units; longer ones are rare. */
const LONGEST_WORD = 32;
const SPACE = 32;
const APOSTROPHE = 39;

/**
 * The end of a small ASCII word and the space before it, which is a piece in every encoding here. -1 where the text is anything else.
 */
export function endOfPlainWord(text: string, from: number): number {
  const first = text.charCodeAt(from) === SPACE ? from + 1 : from;
  let end = first;
  while (isSmallLetter(text.charCodeAt(end)) && end - first < LONGEST_WORD) end++;
  if (end === first || end - first === LONGEST_WORD) return -1;
  if (end === text.length) return end;
  const next = text.charCodeAt(end);
  return next < 128 && next !== APOSTROPHE && !isSmallLetter(next | 32) ? end : -1;
}

const isSmallLetter = (code: number): boolean => code >= 97 && code <= 122;
