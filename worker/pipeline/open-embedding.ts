// The process's one way to the provider: what goes through it has its pace and its price, and is told of.
import type { Activity } from "../activity/activity.ts";
import type { Config } from "../config/config.ts";
import type { Ledger } from "../costs/ledger.ts";
import type { SqlCall } from "../document/sql-call.ts";
import { openBatcher } from "../embedders/batch.ts";
import type { RequestEnd } from "../embedders/embed-call.ts";
import type { Embedder } from "../embedders/embedder.ts";
import { openPacer, type PacingState } from "../embedders/pacing/pacer.ts";
import { type AskForShare, shareThrough } from "../embedders/pacing/shared-share.ts";
import { failureFromUnknown } from "../failure/from-unknown.ts";
import type { EmbedFor } from "./embed-batch.ts";

// Texts in one request to a server far away, when so many wait. Four times more was no faster beside the work that
// a request is, and a refused one is halved twice more.
const MOST_TEXTS = 256;

export type Embedding = {
  readonly embed: EmbedFor;
  readonly pacing: () => PacingState;
  close(): Promise<void>;
};

/** `replica`: who shares the provider's limits with the other replicas of this database. */
export function openEmbedding(
  embedder: Embedder,
  config: Config,
  parts: {
    readonly activity: Activity;
    readonly call: SqlCall;
    readonly ledger: Pick<Ledger, "admit" | "add">;
    readonly replica: string;
  },
): Embedding {
  const { activity, ledger } = parts;
  const { provider } = embedder;
  const pacer = openPacer({
    provider,
    concurrency: config.embeddingConcurrency,
    askForShare: shareOf(embedder, config, parts),
    away: ({ code }, forMs) => activity.say("provider.away", { provider, code, forMs: Math.round(forMs) }),
    back: () => activity.say("provider.back", { provider }),
  });
  const batcher = openBatcher(tellingOfRequests(embedder, activity), {
    batch: config.embeddingBatch,
    // A model that runs on this machine gains nothing by larger requests.
    most: provider === "openai" ? MOST_TEXTS : config.embeddingBatch,
    concurrency: config.embeddingConcurrency,
    pacer,
    held: (by, durationMs) => activity.say("requests.held", { provider, by, durationMs }),
  });
  const price = (embedder.priceUsdPerMillionTokens ?? 0) / 1_000_000;
  return {
    async embed(tenantId, texts, signal, hear) {
      if (texts.length === 0) return { vectors: [], tokens: 0, costUsd: 0 };
      if (price > 0) ledger.admit();
      const heard = hear && ((request: RequestEnd) => hear({ provider, model: embedder.model, ...request }));
      const answer = await batcher.embedEach(texts, signal, heard);
      const costUsd = answer.tokens * price;
      ledger.add({ tenantId, model: embedder.model, tokens: answer.tokens, costUsd });
      return { ...answer, costUsd };
    },
    pacing: () => pacer.state(),
    close: () => batcher.close(),
  };
}

/** What replicas share is what one account may send to one model at one address; a model in this process is ours. */
function shareOf(
  { provider, model }: Embedder,
  config: Config,
  { call, replica }: { readonly call: SqlCall; readonly replica: string },
): AskForShare | null {
  if (provider === "embedded") return null;
  const address = provider === "openai" ? config.openaiBaseUrl : config.llamaServerUrl;
  const host = address === null ? "api.openai.com" : new URL(address).host;
  return shareThrough(call, `${provider} ${host} ${model}`.slice(0, 400), replica);
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
