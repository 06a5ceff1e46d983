// Byte-pair merging as tiktoken does it: always the pair of lowest rank, leftmost among equals, until none is
// in the vocabulary. A heap over a linked list keeps it at n log n: a megabyte of one letter takes seconds,
// not hours (the usual loop looks through all pairs for each merge).

/** Entries are byte strings: one UTF-16 unit below 256 for each byte. */
export type Ranks = { readonly of: ReadonlyMap<string, number>; readonly longest: number };

const NONE = -1;
/** A heap key is rank * POSITIONS + position: exact in a double while ranks stay below 2 ** 21. */
const POSITIONS = 2 ** 32;

/** Number of tokens that the bytes are merged into. */
export function countMerged(bytes: string, ranks: Ranks): number {
  const length = bytes.length;
  const next = new Int32Array(length);
  const previous = new Int32Array(length);
  for (let at = 0; at < length; at++) {
    next[at] = at + 1;
    previous[at] = at - 1;
  }
  /** Rank of the token that would begin at a place if it were merged with the one after it. */
  const pairRank = new Int32Array(length).fill(NONE);
  const heap = new Heap(length);
  const look = (at: number) => {
    const middle = next[at] ?? length;
    const end = middle < length ? (next[middle] ?? length) : 0;
    const rank = end === 0 || end - at > ranks.longest ? NONE : (ranks.of.get(bytes.slice(at, end)) ?? NONE);
    pairRank[at] = rank;
    if (rank !== NONE) heap.push(rank * POSITIONS + at);
  };
  for (let at = 0; at < length; at++) look(at);

  let tokens = length;
  for (let key = heap.pop(); key !== undefined; key = heap.pop()) {
    const rank = Math.floor(key / POSITIONS);
    const at = key - rank * POSITIONS;
    if (pairRank[at] !== rank) continue; // Merged or replaced since it was pushed.
    const gone = next[at] ?? length;
    const after = next[gone] ?? length;
    next[at] = after;
    if (after < length) previous[after] = at;
    pairRank[gone] = NONE;
    tokens--;
    look(at);
    const before = previous[at] ?? NONE;
    if (before !== NONE) look(before);
  }
  return tokens;
}

/** A binary heap of doubles, smallest first. */
class Heap {
  #keys: Float64Array;
  #size = 0;

  constructor(capacity: number) {
    this.#keys = new Float64Array(Math.max(16, capacity));
  }

  push(key: number): void {
    if (this.#size === this.#keys.length) {
      const grown = new Float64Array(this.#size * 2);
      grown.set(this.#keys);
      this.#keys = grown;
    }
    const keys = this.#keys;
    let at = this.#size++;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = keys[parent] ?? 0;
      if (above <= key) break;
      keys[at] = above;
      at = parent;
    }
    keys[at] = key;
  }

  pop(): number | undefined {
    if (this.#size === 0) return undefined;
    const keys = this.#keys;
    const top = keys[0];
    const last = keys[--this.#size] ?? 0;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= this.#size) break;
      if (child + 1 < this.#size && (keys[child + 1] ?? 0) < (keys[child] ?? 0)) child++;
      const below = keys[child] ?? 0;
      if (below >= last) break;
      keys[at] = below;
      at = child;
    }
    keys[at] = last;
    return top;
  }
}
