// What analyses cost, in requests, tokens and dollars. Fed by events, like every counter.
import { Counter, Histogram, type Registry } from "prom-client";
import type { Events } from "../activity/catalogue.ts";

const SECONDS = [0.5, 1, 3, 10, 30, 60, 120, 300];

type Answered = Events["analysis.answered"];

export function openAnalysisCounters(registry: Registry) {
  const registers = [registry];
  const counter = <Label extends string>(name: string, help: string, labelNames: readonly Label[] = []) =>
    new Counter({ name, help, labelNames: [...labelNames], registers });
  const requests = counter(
    "rag_analysis_requests_total",
    "Questions to the analyst by how they ended; code is empty for an analysis.",
    ["provider", "code", "mode"],
  );
  const tokens = counter(
    "rag_analysis_tokens_total",
    "Tokens of answered questions, by what they are paid as.",
    ["provider", "kind"],
  );
  const cost = counter("rag_analysis_cost_usd_total", "What answered questions cost, in US dollars.", [
    "provider",
  ]);
  const groups = counter(
    "rag_analysis_groups_total",
    "Groups of segments that are analysed, or recorded with the code of why not.",
    ["code"],
  );
  const uncached = counter(
    "rag_analysis_uncached_total",
    "Questions that read a whole prompt at the full price although an earlier one should have left it in the cache.",
  );
  const seconds = new Histogram({
    name: "rag_analysis_request_duration_seconds",
    help: "Time of one question that is asked at once.",
    labelNames: ["provider"],
    buckets: SECONDS,
    registers,
  });
  return {
    "analysis.answered": ({ provider, code, batch, ...facts }: Answered) => {
      requests.inc({ provider, code, mode: batch ? "batch" : "direct" });
      tokens.inc({ provider, kind: "input" }, facts.inputTokens);
      tokens.inc({ provider, kind: "cache_write" }, facts.cacheWriteTokens);
      tokens.inc({ provider, kind: "cache_read" }, facts.cacheReadTokens);
      tokens.inc({ provider, kind: "output" }, facts.outputTokens);
      cost.inc({ provider }, facts.costUsd);
      if (!batch) seconds.observe({ provider }, facts.durationMs / 1000);
    },
    "analysis.failed": ({ provider, code, durationMs }: Events["analysis.failed"]) => {
      requests.inc({ provider, code, mode: "direct" });
      if (durationMs > 0) seconds.observe({ provider }, durationMs / 1000);
    },
    "analysis.uncached": (facts: Events["analysis.uncached"]) => uncached.inc(facts.requests),
    "group.analysed": ({ code }: Events["group.analysed"]) => groups.inc({ code }),
  };
}
