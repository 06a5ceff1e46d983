// Deterministic vectors for the stand-in: equal texts get equal vectors, different texts nearly orthogonal ones.

/** A unit vector that depends on the text and nothing else. */
export function vectorOf(text: string, dimensions: number): Float32Array {
  let state = fnv1a(text);
  const vector = new Float32Array(dimensions);
  let squares = 0;
  for (let at = 0; at < dimensions; at++) {
    // xorshift32; source: Marsaglia, "Xorshift RNGs", 2003.
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    const value = state / 2 ** 31;
    vector[at] = value;
    squares += value * value;
  }
  const norm = Math.sqrt(squares);
  return vector.map((value) => value / norm);
}

/** FNV-1a over UTF-16 units, never 0 (from which xorshift would not move). */
function fnv1a(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  return hash | 0 || 1;
}

export function asBase64(vector: Float32Array): string {
  return Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength).toString("base64");
}
