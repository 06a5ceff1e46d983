import { expect, test } from "vitest";
import { checkVectors, inOrder } from "./check-answer.ts";

const good = () => Float32Array.of(0.6, 0.8);

test("good vectors come back as they are", () => {
  const vectors = [good(), good()];

  const checked = checkVectors(vectors, { count: 2, dimensions: 2 });

  expect(checked).toBe(vectors);
});

test.each([
  ["too few", [good()], "embed.bad-answer"],
  ["too many", [good(), good(), good()], "embed.bad-answer"],
  ["a NaN", [good(), Float32Array.of(Number.NaN, 1)], "embed.bad-answer"],
  ["an infinity", [good(), Float32Array.of(1, Number.NEGATIVE_INFINITY)], "embed.bad-answer"],
  ["a vector of norm 0", [good(), Float32Array.of(0, 0)], "embed.bad-answer"],
  ["one longer vector", [good(), Float32Array.of(1, 2, 3)], "embed.wrong-dimension"],
  ["empty vectors", [Float32Array.of(), Float32Array.of()], "embed.wrong-dimension"],
])("an answer with %s is refused", (_what, vectors, code) => {
  const check = () => checkVectors(vectors, { count: 2, dimensions: 2 });

  expect(check).toThrow(expect.objectContaining({ code }));
});

test("vectors of different lengths are refused even while the dimension is being learned", () => {
  const check = () => checkVectors([good(), Float32Array.of(1)], { count: 2, dimensions: null });

  expect(check).toThrow(expect.objectContaining({ code: "embed.wrong-dimension" }));
});

test("numbered items are put in order", () => {
  const items = [{ index: 2 }, { index: 0 }, { index: 1 }];

  const ordered = inOrder(items, 3);

  expect(ordered.map(({ index }) => index)).toEqual([0, 1, 2]);
});

test.each([
  ["a number twice", [{ index: 0 }, { index: 0 }]],
  ["a number beyond the end", [{ index: 0 }, { index: 2 }]],
  ["a number only on some", [{ index: 0 }, {}]],
  ["an item missing", [{ index: 0 }]],
])("items with %s are refused", (_what, items) => {
  const order = () => inOrder(items, 2);

  expect(order).toThrow(expect.objectContaining({ code: "embed.bad-answer" }));
});
