// What an answer costs, by the provider's own list.
import { expect, test } from "vitest";
import { type WriterPrice, writerPriceOf } from "../config/prices.ts";
import { costOf } from "./claude-request.ts";

const price = (model: string): WriterPrice => {
  const found = writerPriceOf(model);
  if (found === null) throw new Error("no price");
  return found;
};
const usage = (fields: {
  input?: number;
  written?: number;
  hour?: number;
  read?: number;
  output?: number;
}): Parameters<typeof costOf>[0] => ({
  cache_creation: {
    ephemeral_5m_input_tokens: (fields.written ?? 0) - (fields.hour ?? 0),
    ephemeral_1h_input_tokens: fields.hour ?? 0,
  },
  cache_creation_input_tokens: fields.written ?? 0,
  cache_read_input_tokens: fields.read ?? 0,
  inference_geo: null,
  input_tokens: fields.input ?? 0,
  output_tokens: fields.output ?? 0,
  output_tokens_details: null,
  server_tool_use: null,
  speed: null,
  service_tier: null,
});

test.each([
  ["read", { input: 1_000_000 }, "claude-sonnet-5-5", 2],
  ["written", { output: 1_000_000 }, "claude-opus-5-5", 20],
  ["kept for five minutes", { written: 100_000 }, "claude-haiku-5-5", 0.0125],
  ["kept for an hour", { written: 100_000, hour: 100_000 }, "claude-haiku-5-5", 0.02],
  ["read from the cache", { read: 100_000 }, "claude-haiku-5-5", 0.001],
  ["read from the cache of a larger model", { read: 1_000_000 }, "claude-sonnet-5-5", 0.1],
  [
    "of a prompt of 100,000 tokens",
    { input: 40_000, read: 60_000, output: 1000 },
    "claude-haiku-5-5",
    0.0051,
  ],
  ["of a prompt above it", { input: 40_001, read: 60_000, output: 1000 }, "claude-haiku-5-5", 0.0255005],
])("tokens %s have their price", (_, used, model, usd) => {
  expect(costOf(usage(used), price(model))).toBeCloseTo(usd, 10);
});
