import fc from "fast-check";
import { expect, test } from "vitest";
import type { TakePretoken } from "../document/tokenizer.ts";
import { openTokenizer } from "../tokenizers/open-tokenizer.ts";
import { openTokenMeter } from "./token-meter.ts";

const signs = fc.constantFrom(
  ..."aAbß'. ,!?-|\n\r\t\f#1239日本語éŻ\u0301\u00a0\u3000\u200d\u0000ǅ👍🏽",
  "'s",
  "'ll",
  " don't",
  "  \n",
  "\r\n",
  " the",
  "</s>",
  "ing",
);
const text = fc.array(signs, { maxLength: 30 }).map((parts) => parts.join(""));

test.each([
  "cl100k_base",
  "o200k_base",
  "bert-wordpiece",
] as const)("%s: a stretch counts as much by the meter as by itself, wherever it begins and ends", (name) => {
  const tokenizer = openTokenizer(name);
  fc.assert(
    fc.property(fc.array(text, { minLength: 1, maxLength: 4 }), fc.nat(), fc.nat(), (parts, one, other) => {
      const meter = openTokenMeter(tokenizer);
      for (const [at, part] of parts.entries()) meter.append(part, at > 0);
      const all = parts.join("");
      const [from = 0, to = 0] = [one % (all.length + 1), other % (all.length + 1)].sort((a, b) => a - b);
      fc.pre(!cutsPair(all, from) && !cutsPair(all, to));

      expect(meter.text(from, to)).toBe(all.slice(from, to));
      expect(meter.count(from, to)).toBe(tokenizer.count(all.slice(from, to)));
    }),
    { numRuns: 1500 },
  );
});

test("text that was forgotten changes no count behind it", () => {
  const tokenizer = openTokenizer("cl100k_base");
  const meter = openTokenMeter(tokenizer);
  const part = "Some words, more words; and a number: 1234.\n".repeat(1000);
  for (let at = 0; at < 5; at++) meter.append(part, true);
  const all = part.repeat(5);

  meter.forget(100_001);

  for (const from of [100_001, 120_007, 180_500])
    expect(meter.count(from, from + 3000)).toBe(tokenizer.count(all.slice(from, from + 3000)));
});

test("text is looked at once, however many stretches are asked about", () => {
  const tokenizer = openTokenizer("cl100k_base");
  let looked = 0;
  const counting = {
    name: "counting",
    count(text: string) {
      looked += text.length;
      return tokenizer.count(text);
    },
    scan: (text: string, from: number, take: TakePretoken) => tokenizer.scan?.(text, from, take),
  };
  const meter = openTokenMeter(counting);
  const all = "A sentence of some words, as there are many. ".repeat(200);
  meter.append(all, false);
  for (let from = 0; from < 4500; from += 45) meter.count(from, from + 4500);

  expect(looked).toBeLessThan(100 * 10);
});

test("sums go on rightly where text was forgotten in the middle of a pretoken", () => {
  const meter = openTokenMeter(openTokenizer("cl100k_base"));
  const all = "漢字".repeat(30_000);
  meter.append(all, false);
  const early = meter.before(40_000, 40_008, 0);

  meter.forget(40_000);

  expect(meter.before(40_000, 40_008, 0)).toBe(early);
  expect(meter.through(40_000, 40_008) - early).toBeLessThan(40);
});

function cutsPair(all: string, at: number): boolean {
  const before = all.charCodeAt(at - 1);
  const after = all.charCodeAt(at);
  return before >= 0xd800 && before < 0xdc00 && after >= 0xdc00 && after < 0xe000;
}
