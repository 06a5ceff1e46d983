// Requests to the embedding provider, by provider: what came of them, how long they took, and how long texts waited
// for the pace that it allows. A 429 is a failure with the code embed.rate-limited.
import { Counter, Histogram, type Registry } from "prom-client";
import type { EventName, Events } from "../activity/catalogue.ts";
import { positive } from "./positive.ts";

const REQUEST_SECONDS = [0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 60];

type Counters = { readonly [Name in EventName]?: (facts: Events[Name]) => void };

export function openEmbeddingCounters(registry: Registry): Counters {
  const registers = [registry];
  const labelNames = ["provider"] as const;
  const requests = new Counter({
    name: "rag_embedding_requests_total",
    help: "Requests to the embedding provider, failed ones included.",
    labelNames,
    registers,
  });
  const failures = new Counter({
    name: "rag_embedding_failures_total",
    help: "Requests to the embedding provider that failed.",
    labelNames: ["provider", "code"],
    registers,
  });
  const texts = new Counter({
    name: "rag_embedding_texts_total",
    help: "Texts that were embedded.",
    labelNames,
    registers,
  });
  const tokens = new Counter({
    name: "rag_embedding_tokens_total",
    help: "Tokens that the embedding provider read.",
    labelNames,
    registers,
  });
  const seconds = new Histogram({
    name: "rag_embedding_request_duration_seconds",
    help: "Time of one request to the embedding provider.",
    labelNames,
    buckets: REQUEST_SECONDS,
    registers,
  });
  const held = new Counter({
    name: "rag_embedding_held_seconds_total",
    help: "Time in which texts waited because requests had to: for the provider's limits (requests, tokens), because it asked to be left alone, or because its circuit is open.",
    labelNames: ["provider", "by"],
    registers,
  });
  return {
    "requests.held": ({ provider, by, durationMs }) =>
      held.inc({ provider, by }, positive(durationMs / 1000)),
    "embeddings.received": ({ provider, ...facts }) => {
      requests.inc({ provider });
      texts.inc({ provider }, positive(facts.texts));
      tokens.inc({ provider }, positive(facts.tokens));
      seconds.observe({ provider }, facts.durationMs / 1000);
    },
    "embeddings.failed": ({ provider, code, durationMs }) => {
      requests.inc({ provider });
      failures.inc({ provider, code });
      seconds.observe({ provider }, durationMs / 1000);
    },
  };
}
