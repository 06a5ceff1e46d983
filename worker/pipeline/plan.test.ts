import { expect, test } from "vitest";
import { planOf } from "./plan.ts";

const tokenizer = { name: "words", count: (text: string) => text.length };
const embedder = { model: "model", dimensions: 3, tokenizer };
const limits = { tokens: 100, overlapTokens: 0, chars: 0, headingPrefix: false };
const strategy = { name: "recursive", version: 2 };

test("whatever changes a chunk or what is embedded of it changes the plan", () => {
  const plans = [
    planOf(embedder, strategy, limits),
    planOf(embedder, strategy, { ...limits, tokens: 99 }),
    planOf(embedder, strategy, { ...limits, overlapTokens: 1 }),
    planOf(embedder, strategy, { ...limits, chars: 1 }),
    planOf(embedder, strategy, { ...limits, headingPrefix: true }),
    planOf(embedder, { ...strategy, version: 3 }, limits),
    planOf({ ...embedder, tokenizer: { ...tokenizer, name: "other" } }, strategy, limits),
  ].map(({ plan }) => plan);

  expect(new Set(plans).size).toBe(plans.length);
});
