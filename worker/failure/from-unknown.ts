// Turns any thrown value into a Failure. What nobody expected is a defect, with the original as its cause.
import { Failure } from "./failure.ts";

export function failureFromUnknown(thrown: unknown): Failure {
  if (thrown instanceof Failure) return thrown;
  // An AbortSignal's reason is thrown as it is: whoever aborted said why.
  if (thrown instanceof Error && thrown.name === "AbortError" && thrown.cause instanceof Failure)
    return thrown.cause;
  return new Failure("unexpected", { cause: thrown, facts: { thrown: nameOf(thrown) } });
}

function nameOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.name : typeof thrown;
}
