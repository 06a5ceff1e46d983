// Numbers as text, for what travels as JSON.
/**
 * A vector as pgvector reads it. Nine significant digits give back the very same float32 (with eight the last bit may
 * differ from what COPY brings), and insert 2.5 to 3 times faster than a JSON array.
 */
export function vectorText(vector: Float32Array): string {
  let text = "[";
  for (let at = 0; at < vector.length; at += 1) {
    if (at > 0) text += ",";
    text += (vector[at] ?? 0).toPrecision(9);
  }
  return `${text}]`;
}
