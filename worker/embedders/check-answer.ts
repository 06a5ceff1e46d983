// What every embedder checks before anyone believes a vector: a wrong one is stored for good and found never.
import { Failure } from "../failure/failure.ts";

export type Expected = {
  readonly count: number;
  /** null while the model's dimension is still being learned. */
  readonly dimensions: number | null;
};

/**
 * Puts items into the order of their `index`. Servers that number nothing are taken at their word.
 * Throws `embed.bad-answer` unless the indexes are 0..count-1, each once.
 */
export function inOrder<Item extends { readonly index?: number | undefined }>(
  items: readonly Item[],
  count: number,
): readonly Item[] {
  if (items.length !== count) throw badAnswer("count", { count, received: items.length });
  if (items.every((item) => item.index === undefined)) return items;
  const ordered = new Map(items.map((item) => [item.index, item]));
  return Array.from({ length: count }, (_, index) => {
    const item = ordered.get(index);
    if (item === undefined) throw badAnswer("order", { missing: index });
    return item;
  });
}

/**
 * Throws `embed.bad-answer` for a wrong count, a number that is not finite or a vector of norm 0, and
 * `embed.wrong-dimension` when a vector has another length than the model's. Returns the same vectors.
 */
export function checkVectors(vectors: readonly Float32Array[], expected: Expected): readonly Float32Array[] {
  if (vectors.length !== expected.count)
    throw badAnswer("count", { count: expected.count, received: vectors.length });
  const dimensions = expected.dimensions ?? vectors[0]?.length ?? 0;
  for (const [index, vector] of vectors.entries()) {
    if (vector.length !== dimensions || dimensions === 0)
      throw new Failure("embed.wrong-dimension", { facts: { dimensions, received: vector.length } });
    // One pass: a NaN or an infinity anywhere makes the sum not finite, and only a zero vector sums to 0.
    let squares = 0;
    for (const value of vector) squares += value * value;
    if (!Number.isFinite(squares)) throw badAnswer("finiteness", { vector: index });
    if (squares === 0) throw badAnswer("norm", { vector: index });
  }
  return vectors;
}

function badAnswer(wrong: string, facts: Readonly<Record<string, number>>): Failure {
  return new Failure("embed.bad-answer", { facts: { wrong, ...facts } });
}
