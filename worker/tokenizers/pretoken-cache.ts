// Tokens of short pretokens, found where they stand in a text: a Map wants each cut out and hashed first, and strings
// of our own lie all over the memory.
import { GOLDEN } from "./byte-trie.ts";

/** What `tokensOf` answers for a pretoken that it does not hold. */
export const NOT_HELD = -1;
const PAIR_BITS = 15;
/** Units of a slot: length, tokens, and the pretoken itself; 64 bytes, as much as a processor fetches at once. */
const SLOT = 32;
const HEAD = 2;
/** Longer ones are rare, and seldom met again. */
const LONGEST_HELD = SLOT - HEAD;

export class PretokenCache {
  readonly #slots = new Uint16Array((2 * SLOT) << PAIR_BITS);

  tokensOf(text: string, from: number, end: number): number {
    const length = end - from;
    if (length > LONGEST_HELD) return NOT_HELD;
    const slot = slotOf(text, from, end);
    if (this.#holds(slot, text, from, length)) return this.#slots[slot + 1] ?? NOT_HELD;
    const second = slot + SLOT;
    return this.#holds(second, text, from, length) ? (this.#slots[second + 1] ?? NOT_HELD) : NOT_HELD;
  }

  /** Takes the pair's first slot; what was there goes to the second. With one slot 3 of 100 looks found nothing. */
  keep(text: string, from: number, end: number, tokens: number): void {
    if (end - from > LONGEST_HELD) return;
    const slots = this.#slots;
    const slot = slotOf(text, from, end);
    slots.copyWithin(slot + SLOT, slot, slot + SLOT);
    slots[slot] = end - from;
    slots[slot + 1] = tokens;
    for (let at = from; at < end; at++) slots[slot + HEAD + at - from] = text.charCodeAt(at);
  }

  #holds(slot: number, text: string, from: number, length: number): boolean {
    const slots = this.#slots;
    if (slots[slot] !== length) return false;
    for (let at = 0; at < length; at++)
      if (slots[slot + HEAD + at] !== text.charCodeAt(from + at)) return false;
    return true;
  }
}

/** The first slot of the pair in which a pretoken may be. */
function slotOf(text: string, from: number, end: number): number {
  let hash = 0;
  for (let at = from; at < end; at++) hash = (Math.imul(hash, 31) + text.charCodeAt(at)) | 0;
  return (Math.imul(hash ^ (hash >>> 15), GOLDEN) >>> (32 - PAIR_BITS)) * (2 * SLOT);
}
