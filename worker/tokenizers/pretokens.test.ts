import { createRequire } from "node:module";
import fc from "fast-check";
import { expect, test } from "vitest";
import { endOfCl100k, endOfO200k, endOfPlainWord } from "./pretokens.ts";

const parts = fc.constantFrom(
  ..."abAéÉ1٣½ \n\r\t's./-_中\u0301ǅʰ👍𝐀𝟗𐐀𐐨\u00a0\u3000\ufeff\u0085ſ",
  "\ud800",
  "\udc00",
  "  ",
  "'LL",
  "'re",
  "'Ve",
  "'t",
  " the",
);
const text = fc.oneof(
  fc.array(parts, { maxLength: 14 }).map((all) => all.join("")),
  fc.string({ unit: "binary" }),
);

test.each([
  ["cl100k_base", endOfCl100k],
  ["o200k_base", endOfO200k],
] as const)("%s: pretokens are what the vocabulary's regular expression finds", (name, endOfPretoken) => {
  const { pat_str } = createRequire(import.meta.url)(`js-tiktoken/ranks/${name}`);
  const expression = new RegExp(pat_str, "gu");
  fc.assert(
    fc.property(text, (sample) => {
      const found: string[] = [];
      for (let at = 0, end = 0; at < sample.length; at = end) {
        end = endOfPretoken(sample, at);
        found.push(sample.slice(at, end));
        // The quick way for small words agrees wherever it answers.
        const plain = endOfPlainWord(sample, at);
        if (plain >= 0) expect(plain).toBe(end);
      }
      expect(found).toEqual(sample.match(expression) ?? []);
    }),
    { numRuns: 3000 },
  );
});
