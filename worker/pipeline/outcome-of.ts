// From a thrown value to what becomes of the job. The failure's kind alone decides (DESIGN, failure model).
import type { Outcome } from "../document/outcome.ts";
import type { Failure } from "../failure/failure.ts";
import { failureFromUnknown } from "../failure/from-unknown.ts";

// When a provider asks us to wait and does not say how long.
const WAIT_MS = 15_000;
// A database that is away costs the job nothing; it is looked at again soon.
const DATABASE_WAIT_MS = 2_000;
// Until an operator has corrected what is wrong; the claim loop stops for longer by itself.
const MISCONFIGURED_WAIT_MS = 5_000;

export function outcomeOf(thrown: unknown): Outcome {
  const failure = failureFromUnknown(thrown);
  switch (failure.kind) {
    case "permanent":
      return { kind: "fail", failure };
    case "lease-lost":
      return { kind: "lost" };
    case "stopping":
      return { kind: "release", failure, delayMs: 0 };
    case "waiting":
      return { kind: "release", failure, delayMs: failure.retryAfterMs ?? WAIT_MS };
    case "misconfigured":
      return { kind: "release", failure, delayMs: MISCONFIGURED_WAIT_MS };
    case "transient":
      // Our own infrastructure's trouble is not the document's: it spends no attempt.
      if (failure.code === "database.unreachable") {
        return { kind: "release", failure, delayMs: DATABASE_WAIT_MS };
      }
      return { kind: "retry", failure };
    case "defect":
      return { kind: "retry", failure };
  }
}

/** The provider is away: the job waits without spending an attempt. Jitter, for its other jobs wait as well. */
export function waitForProvider(failure: Failure): Outcome {
  return { kind: "release", failure, delayMs: failure.retryAfterMs ?? WAIT_MS * (0.5 + Math.random()) };
}
