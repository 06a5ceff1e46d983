// Turns what Claude's API did wrong into a Failure that says whose fault it is: the question's (recorded, and the
// document goes on), ours to wait for, or the operator's. Classifies by status and error type, never by message:
// messages repeat the prompt. For the same reason no error of the SDK is ever kept as a cause.
// Source: https://platform.claude.com/docs/en/api/errors
import {
  APIConnectionError,
  APIConnectionTimeoutError,
  APIError,
  APIUserAbortError,
} from "@anthropic-ai/sdk";
import type { FailureCode } from "../failure/catalogue.ts";
import { Failure } from "../failure/failure.ts";
import { networkCode, safeWord } from "../failure/network-code.ts";
import { retryAfterOf } from "../timing/retry-after.ts";

/** Codes that are about one question: others about the same document may be answered. */
const OF_THE_QUESTION: ReadonlySet<string> = new Set<FailureCode>([
  "analyse.refused",
  "analyse.truncated",
  "analyse.bad-answer",
  "analyse.input-rejected",
  "analyse.too-long",
]);

export const isOfTheQuestion = ({ code }: Failure): boolean => OF_THE_QUESTION.has(code);

/** What a thrown value of the SDK means. Anything else it throws is an answer that it could not read. */
export function failureOfRequest(thrown: unknown): Failure {
  if (thrown instanceof Failure) return thrown;
  if (thrown instanceof APIConnectionTimeoutError || thrown instanceof APIUserAbortError)
    return new Failure("analyse.unavailable", { facts: { reason: "timeout" } });
  if (thrown instanceof APIConnectionError)
    return new Failure("analyse.unavailable", { facts: { reason: networkCode(thrown) } });
  if (thrown instanceof APIError) return failureOfError(thrown);
  // A stream that was cut, or a page that is none.
  return new Failure("analyse.unavailable", { facts: { reason: "no message" } });
}

function failureOfError(error: APIError): Failure {
  // An error in the middle of a stream has a type and no status.
  const { status, headers } = error;
  const type = safeWord(error.type ?? undefined);
  const facts = { status, type, request: safeWord(error.requestID) };
  const retryAfterMs = retryAfterOf(headers);
  if (status === 429 || type === "rate_limit_error")
    return new Failure("analyse.rate-limited", { retryAfterMs, facts });
  if (status === 529 || type === "overloaded_error")
    return new Failure("analyse.overloaded", { retryAfterMs, facts });
  if (status === 401 || status === 402 || status === 403) return new Failure("analyse.denied", { facts });
  // One without a type is another server's, which has no such page.
  if (status === 404 && type !== undefined) return new Failure("analyse.model-missing", { facts });
  // A proxy's own 400 has no JSON error in it and says nothing about the question.
  if ((status === 400 || status === 413 || status === 422) && type !== undefined)
    return new Failure("analyse.input-rejected", { facts });
  return new Failure("analyse.unavailable", { retryAfterMs, facts });
}
