// A failure in words: one sentence for the user, one for the operator, facts behind it in parentheses.
import { catalogue, type FailureCode } from "./catalogue.ts";
import type { Failure } from "./failure.ts";

/** What is stored in error_detail and printed to the user: `sentence (fact=1, fact=2)`. */
export function describeFailure(failure: Failure): string {
  return withFacts(failure.message, failure);
}

/** What the operator reads on the terminal and in /health. */
export function adviseOperator(failure: Failure): string {
  const own = catalogue[failure.code as FailureCode].operator;
  const said = failure.message === catalogue[failure.code].user ? "" : `${failure.message} `;
  return withFacts(said + own, failure);
}

function withFacts(sentence: string, failure: Failure): string {
  const facts = Object.entries(failure.facts).filter(([, value]) => value !== undefined && value !== null);
  if (facts.length === 0) return sentence;
  return `${sentence} (${facts.map(([name, value]) => `${name}=${value}`).join(", ")})`;
}
