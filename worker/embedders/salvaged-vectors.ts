// Vectors that a failed call paid for, kept so that its retry in this process does not pay again.

// 1,024 of 1,536 dimensions with their texts are about 8 MB.
const MOST = 1024;

export class SalvagedVectors {
  readonly #kept = new Map<string, Float32Array>();

  /** The vectors there are for these texts; they are kept no longer. */
  take(texts: readonly string[]): Map<string, Float32Array> {
    const taken = new Map<string, Float32Array>();
    if (this.#kept.size === 0) return taken;
    for (const text of texts) {
      const vector = this.#kept.get(text);
      if (vector !== undefined) taken.set(text, vector);
      this.#kept.delete(text);
    }
    return taken;
  }

  keep(vectors: ReadonlyMap<string, Float32Array>): void {
    for (const [text, vector] of vectors) this.#kept.set(text, vector);
    // Oldest first, for a Map keeps the order of insertion.
    for (const text of this.#kept.keys()) {
      if (this.#kept.size <= MOST) return;
      this.#kept.delete(text);
    }
  }
}
