// How a room takes over jobs of a kind. The runner hands over the signal and the watch, and catches what is thrown.
import type { Job } from "./lease.ts";
import type { Outcome } from "./outcome.ts";

export type RunKind = (
  job: Job,
  step: {
    readonly signal: AbortSignal;
    /** Progress was made. */
    readonly touch: () => void;
  },
) => Promise<Outcome>;

/** A job in which nothing was cut. */
export const done: Outcome = { kind: "complete", chunks: 0, segments: 0, rejected: 0, unchanged: false };
