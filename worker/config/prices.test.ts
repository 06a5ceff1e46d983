import { expect, test } from "vitest";
import { priceOf, writerPriceOf } from "./prices.ts";

test("a gateway's name has the model's price, an own price wins, and an unknown model has none", () => {
  expect(priceOf("text-embedding-3-small")).toBe(0.02);
  expect(priceOf("openai/text-embedding-3-large")).toBe(0.13);
  expect(priceOf("openai/text-embedding-3-large", { "text-embedding-3-large": 1 })).toBe(1);
  expect(priceOf("acme/own", { "acme/own": 2, own: 3 })).toBe(2);
  expect(priceOf("own")).toBeNull();
});

test("a model that writes has a price for each kind of token, and a number alone is none", () => {
  expect(writerPriceOf("anthropic/claude-haiku-5-5")).toMatchObject({
    input: 0.1,
    output: 0.5,
    cacheRead: 0.1,
  });
  expect(writerPriceOf("claude-haiku-5-5", { "claude-haiku-5-5": 0.1 })).toBeNull();
  expect(writerPriceOf("own", { own: { input: 2, output: 8, cache_read: 0.1 } })).toMatchObject({
    input: 2,
    output: 8,
    cacheWrite: 1.25,
    cacheRead: 0.05,
    step: null,
  });
  expect(writerPriceOf("own")).toBeNull();
});
