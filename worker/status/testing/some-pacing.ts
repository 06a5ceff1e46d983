// A provider whose circuit is open, for tests of what shows it.
import type { PacingState } from "../../embedders/pacing/pacer.ts";

export const awayProvider: PacingState = {
  provider: "openai",
  inFlight: 2,
  allowed: 3,
  limited: "circuit",
  breaker: "open",
  waitMs: 8_000,
  requestsPerMinute: 600,
  tokensPerMinute: null,
  share: 0.5,
  replicas: 2,
};
