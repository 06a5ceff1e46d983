import { createRequire } from "node:module";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { countMerged } from "./byte-pairs.ts";
import { readVocabulary } from "./vocabulary.ts";

/** The definition, step by step: the pair of lowest rank, leftmost among equals. */
function mergeSlowly(bytes: Uint8Array, ranks: ReadonlyMap<string, number>): number {
  const parts = Array.from(bytes, (byte) => String.fromCharCode(byte));
  for (;;) {
    let best = Number.POSITIVE_INFINITY;
    let found = -1;
    for (let at = 0; at + 1 < parts.length; at++) {
      const rank = ranks.get(`${parts[at]}${parts[at + 1]}`) ?? Number.POSITIVE_INFINITY;
      if (rank < best) [best, found] = [rank, at];
    }
    if (found < 0) return parts.length;
    parts.splice(found, 2, `${parts[found]}${parts[found + 1]}`);
  }
}

describe.each(["cl100k_base", "o200k_base"])("%s", (name) => {
  const lines: string = createRequire(import.meta.url)(`js-tiktoken/ranks/${name}`).bpe_ranks;
  const vocabulary = readVocabulary(lines);
  const tokens = lines
    .split(" ")
    .slice(2)
    .map((token) => Buffer.from(token, "base64"));

  test("every token of the vocabulary is counted as one: merging makes each of them", () => {
    const others = tokens.filter((bytes) => countMerged(bytes, bytes.length, vocabulary) !== 1);

    expect(tokens.length).toBeGreaterThan(100_000);
    expect(others).toEqual([]);
  });

  test("any bytes are merged as the definition says", () => {
    const ranks = new Map(tokens.map((bytes, rank) => [bytes.toString("latin1"), rank]));
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 40 }),
      fc.uint8Array({ min: 97, max: 100, maxLength: 60 }),
      fc.uint8Array({ min: 45, max: 46, maxLength: 200 }),
      fc
        .array(fc.nat(tokens.length - 1), { maxLength: 6 })
        .map((drawn) => Buffer.concat(drawn.map((rank) => tokens[rank] ?? Buffer.of()))),
    );
    fc.assert(
      fc.property(bytes, (sample) => {
        expect(countMerged(sample, sample.length, vocabulary)).toBe(mergeSlowly(sample, ranks));
      }),
      { numRuns: 2000 },
    );
  });
});

test.each([
  ["! 0 IQ== Ig==", /lacks a byte/],
  ["! 5 IQ==", /offset/],
  ["! x IQ==", /offset/],
  ["! 0 I~==", /base64/],
])("a vocabulary that reads %j is refused", (lines, reason) => {
  expect(() => readVocabulary(lines)).toThrow(reason);
});
