// All beginnings of a vocabulary's tokens, to find the tokens that begin at a place without cutting strings out.
// A node is a number: those of one byte are that byte, and a deeper one was made after the one above it.

const NONE = 0;
const BYTES = 256;
/** 2 ** 32 over the golden ratio: spreads neighbouring keys (Knuth, The Art of Computer Programming, 6.4). */
export const GOLDEN = 0x9e3779b1;

export class ByteTrie {
  /** Nodes of two bytes, half of all steps: by both bytes, without hashing. */
  readonly #pairs = new Int32Array(BYTES * BYTES);
  /** Deeper ones, as key and node in turn: a hash table with open addressing that is never full. */
  readonly #slots: Int32Array;
  readonly #shift: number;
  #size = BYTES;

  /** `mostNodes`: no more will ever be made. */
  constructor(mostNodes: number) {
    const bits = Math.max(1, Math.ceil(Math.log2(mostNodes + 1)));
    if (bits > 23) throw new RangeError("a vocabulary with so many bytes cannot be held");
    this.#slots = new Int32Array(2 << bits);
    this.#shift = 32 - bits;
  }

  /** Nodes so far; the next one gets this number. */
  get size(): number {
    return this.#size;
  }

  /** The node that a byte more leads to; 0 where no token goes on so. */
  child(node: number, byte: number): number {
    if (node < BYTES) return this.#pairs[(node << 8) | byte] ?? NONE;
    return this.#slots[this.#slotOf((node << 8) | byte) + 1] ?? NONE;
  }

  /** The same, and makes it where there is none. */
  grow(node: number, byte: number): number {
    const known = this.child(node, byte);
    if (known !== NONE) return known;
    const key = (node << 8) | byte;
    if (node < BYTES) this.#pairs[key] = this.#size;
    else {
      const slot = this.#slotOf(key);
      this.#slots[slot] = key;
      this.#slots[slot + 1] = this.#size;
    }
    return this.#size++;
  }

  /** Where the key stands, or the empty place where it would. */
  #slotOf(key: number): number {
    const slots = this.#slots;
    const last = slots.length - 1;
    let slot = 2 * (Math.imul(key, GOLDEN) >>> this.#shift);
    // A node of two bytes or more makes a key above 0.
    while (slots[slot] !== key && slots[slot] !== 0) slot = (slot + 2) & last;
    return slot;
  }
}
