// How one run of a job ended. `settle` turns it into exactly one transition.
import type { Failure } from "../failure/failure.ts";

export type Outcome =
  | {
      readonly kind: "complete";
      /** What was cut; the database completes only when it holds as many. */
      readonly chunks: number;
      readonly segments: number;
      /** Chunks that are left out, each recorded. */
      readonly rejected: number;
      /** The live generation was of the same content and plan already. */
      readonly unchanged: boolean;
      /** What went live is to be related to other documents. */
      readonly relate?: boolean;
    }
  | { readonly kind: "retry"; readonly failure: Failure }
  | { readonly kind: "release"; readonly failure: Failure; readonly delayMs: number }
  | { readonly kind: "fail"; readonly failure: Failure }
  | { readonly kind: "lost" };
