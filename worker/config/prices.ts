// What providers ask, in US dollars per million tokens. RAG_PRICES adds to it or overrides it.
// Source: https://platform.openai.com/docs/pricing (embeddings), as of 22 November 2026.
import type { Amounts } from "./setting.ts";

const prices: Readonly<Record<string, number>> = {
  "text-embedding-3-small": 0.02,
  "text-embedding-3-large": 0.13,
  "text-embedding-ada-002": 0.1,
};

/** The share of the price that OpenAI's Batch API asks. Source: https://platform.openai.com/docs/guides/batch */
export const BATCH_PRICE_SHARE = 0.5;

/** A model that writes: each kind of token has a price. */
export type WriterPrice = {
  readonly input: number;
  readonly output: number;
  /** As shares of `input`: kept for five minutes, for an hour, and read again. */
  readonly cacheWrite: number;
  readonly cacheWriteHour: number;
  readonly cacheRead: number;
  /** A prompt of more tokens than `above`, cached ones included, costs so many times as much, its answer too. */
  readonly step: { readonly above: number; readonly times: number } | null;
};

const CACHE = { cacheWrite: 1.25, cacheWriteHour: 2 };
// Source: https://platform.claude.com/docs/en/about-claude/pricing, as of 22 November 2026.
const writers: Readonly<Record<string, WriterPrice>> = {
  "claude-haiku-5-5": {
    ...CACHE,
    input: 0.1,
    output: 0.5,
    cacheRead: 0.1,
    step: { above: 100_000, times: 5 },
  },
  "claude-sonnet-5-5": { ...CACHE, input: 2, output: 10, cacheRead: 0.05, step: null },
  "claude-opus-5-5": { ...CACHE, input: 4, output: 20, cacheRead: 0.05, step: null },
};

/** The share that the Message Batches API asks. Source: https://platform.claude.com/docs/en/build-with-claude/batch-processing */
export const MESSAGE_BATCH_SHARE = 0.5;

/**
 * US dollars per million tokens; null where nobody told us. Gateways put a vendor before the name
 * (`openai/text-embedding-3-small`), which an entry of `own` may leave out as well.
 */
export function priceOf(model: string, own: Amounts | null = null): number | null {
  const plain = plainName(model);
  const said = own?.[model] ?? own?.[plain];
  return (typeof said === "object" ? said.input : said) ?? prices[plain] ?? null;
}

/**
 * The price of a model that writes; null where nobody told us, or told only one number. What an entry of `own` leaves
 * out is as the provider has it for the model, else as for most models: 1.25 and 2 times the input for keeping, a tenth for
 * reading again.
 */
export function writerPriceOf(model: string, own: Amounts | null = null): WriterPrice | null {
  const plain = plainName(model);
  const known = writers[plain] ?? null;
  const said = own?.[model] ?? own?.[plain];
  if (said === undefined) return known;
  if (typeof said === "number") return null;
  const base = known ?? { ...CACHE, cacheRead: 0.1 };
  return {
    ...base,
    ...said,
    // Nothing to take a share of.
    ...(said.input > 0 && said.cache_read !== undefined && { cacheRead: said.cache_read / said.input }),
    step: null,
  };
}

const plainName = (model: string): string => model.slice(model.lastIndexOf("/") + 1);
