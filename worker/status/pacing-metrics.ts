// How the embedding provider is paced, for Prometheus: what may be under way, and what holds requests back.
import { Gauge, type Registry } from "prom-client";
import type { PacingState } from "../embedders/pacing/pacer.ts";

const limits = ["requests", "tokens", "asked-to-wait", "circuit"] as const;
const breakerStates = ["closed", "half-open", "open"] as const;

/** Sets the gauges of the provider that is paced; null: none is, and they stay unset. */
export function openPacingGauges(registry: Registry): (pacing: PacingState | null) => void {
  const registers = [registry];
  const gauge = (name: string, help: string, ...more: string[]) =>
    new Gauge({ name, help, labelNames: ["provider", ...more], registers });
  const inFlight = gauge("rag_embedding_in_flight", "Requests to the embedding provider under way.");
  const allowed = gauge(
    "rag_embedding_allowed",
    "Requests that may be under way; falls when the provider refuses.",
  );
  const wait = gauge("rag_embedding_wait_seconds", "Until the next request may leave.");
  const share = gauge("rag_embedding_share", "This replica's part of the provider's limits, 0 to 1.");
  const limited = gauge("rag_embedding_limited", "1 for what holds requests back just now.", "by");
  const breaker = gauge("rag_embedding_breaker", "1 for the state of the circuit to the provider.", "state");
  return (pacing) => {
    if (pacing === null) return;
    const { provider } = pacing;
    inFlight.set({ provider }, pacing.inFlight);
    allowed.set({ provider }, pacing.allowed);
    wait.set({ provider }, pacing.waitMs / 1000);
    share.set({ provider }, pacing.share);
    for (const by of limits) limited.set({ provider, by }, by === pacing.limited ? 1 : 0);
    for (const state of breakerStates) breaker.set({ provider, state }, state === pacing.breaker ? 1 : 0);
  };
}
