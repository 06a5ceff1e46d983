// The only place that picks an analyst. It is loaded only where one is asked for.
import type { Activity } from "../activity/activity.ts";
import type { Config } from "../config/config.ts";
import { writerPriceOf } from "../config/prices.ts";
import { Failure } from "../failure/failure.ts";
import type { Analyst } from "./analyst.ts";
import type { ClaudeOptions } from "./claude.ts";

export type AnalystConfig = Pick<
  Config,
  | "enableClaudeAnalysis"
  | "anthropicApiKey"
  | "anthropicBaseUrl"
  | "claudeModel"
  | "claudeConcurrency"
  | "contextualChunks"
  | "chunkStrategy"
  | "prices"
  | "dailyBudgetUsd"
>;

/** null where no analysis is asked for. Throws `config.invalid`, and `analyse.denied` for a key that is none. */
export async function openAnalyst(config: AnalystConfig, activity: Activity): Promise<Analyst | null> {
  if (!config.enableClaudeAnalysis) {
    if (config.contextualChunks) throw invalid("RAG_CONTEXTUAL_CHUNKS needs RAG_ENABLE_CLAUDE_ANALYSIS.");
    return null;
  }
  const options = claudeOptions(config);
  const { openClaude } = await import("./claude.ts");
  return openClaude({ ...options, activity });
}

/** How Claude is reached, and its price. Throws `config.invalid`. */
export function claudeOptions(config: AnalystConfig): Omit<ClaudeOptions, "activity"> {
  const { anthropicApiKey: apiKey, claudeModel: model } = config;
  if (apiKey === null) throw invalid("RAG_ENABLE_CLAUDE_ANALYSIS needs ANTHROPIC_API_KEY.");
  if (config.contextualChunks && config.chunkStrategy === "semantic")
    throw invalid(
      "RAG_CONTEXTUAL_CHUNKS does not go with RAG_CHUNK_STRATEGY=semantic, which would have to embed everything once more. Switch one of them off.",
    );
  const price = writerPriceOf(model, config.prices);
  if (price === null && config.dailyBudgetUsd !== null)
    throw invalid(
      `RAG_DAILY_BUDGET_USD cannot be kept: nobody knows the price of ${model}. Set RAG_PRICES, as in {"${model}": {"input": 0.1, "output": 0.5}}.`,
    );
  return {
    apiKey,
    baseUrl: config.anthropicBaseUrl,
    model,
    concurrency: config.claudeConcurrency,
    price,
  };
}

const invalid = (says: string): Failure => new Failure("config.invalid", { says });
