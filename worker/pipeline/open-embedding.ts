// The process's one way to the provider: what goes through it has a price and is told of, and a plain word says
// whether the provider is there at all.
import type { Activity } from "../activity/activity.ts";
import type { Config } from "../config/config.ts";
import { openBatcher } from "../embedders/batch.ts";
import type { Embedder } from "../embedders/embedder.ts";
import { failureFromUnknown } from "../failure/from-unknown.ts";
import type { EmbedBatch } from "./embed-batch.ts";

const PROBE_MS = 10_000;

/** The process's one way to the provider, with the price of what went through it. */
export function openEmbedding(
  embedder: Embedder,
  config: Config,
  activity: Activity,
): { embed: EmbedBatch; close(): Promise<void> } {
  const batcher = openBatcher(tellingOfRequests(embedder, activity), {
    batch: config.embeddingBatch,
    concurrency: config.embeddingConcurrency,
  });
  const price = (embedder.priceUsdPerMillionTokens ?? 0) / 1_000_000;
  return {
    async embed(texts, signal) {
      if (texts.length === 0) return { vectors: [], tokens: 0, costUsd: 0 };
      const { vectors, tokens } = await batcher.embed(texts, signal);
      return { vectors, tokens, costUsd: tokens * price };
    },
    close: () => batcher.close(),
  };
}

/** What becomes of one plain word within a few seconds. */
export async function probe(embedder: Embedder): Promise<"answers" | "away" | "refuses"> {
  try {
    await embedder.embed(["canary"], AbortSignal.timeout(PROBE_MS));
    return "answers";
  } catch (thrown) {
    return failureFromUnknown(thrown).code === "embed.input-rejected" ? "refuses" : "away";
  }
}

/** The same embedder, each of whose requests is told of. */
function tellingOfRequests(embedder: Embedder, activity: Activity): Embedder {
  const { provider, model } = embedder;
  return {
    ...embedder,
    async embed(texts, signal, answered) {
      const startedAt = performance.now();
      const durationMs = () => Math.round(performance.now() - startedAt);
      try {
        const answer = await embedder.embed(texts, signal, answered);
        const facts = { texts: texts.length, tokens: answer.tokens, durationMs: durationMs() };
        activity.say("embeddings.received", { provider, model, ...facts });
        return answer;
      } catch (thrown) {
        // What we ended ourselves says nothing about the provider.
        if (signal.aborted) throw thrown;
        const { code } = failureFromUnknown(thrown);
        activity.say("embeddings.failed", { provider, code, durationMs: durationMs() });
        throw thrown;
      }
    },
  };
}
