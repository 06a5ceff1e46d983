// The one judge of a run: a pure function of its history and, when the run is over, of how it ended.
// It knows nothing of faults; whatever was done to the workers, all of this must hold.
import { checkAttempts } from "./check-attempts.ts";
import { checkChunks } from "./check-chunks.ts";
import { checkLeases } from "./check-leases.ts";
import { checkOutcome } from "./check-outcome.ts";
import { checkTransitions } from "./check-transitions.ts";
import type { History } from "./history.ts";
import type { Outcome } from "./outcome.ts";
import type { RunFacts, Violation } from "./violation.ts";

/** `outcome` null while the run goes on. */
export function check(history: History, outcome: Outcome | null, facts: RunFacts): readonly Violation[] {
  const found = [
    ...checkTransitions(history),
    ...checkChunks(history),
    ...checkAttempts(history),
    ...checkLeases(history, facts),
  ];
  return outcome === null ? found : [...found, ...checkOutcome(history, outcome)];
}
