// Turns what a server of the OpenAI protocol did wrong into a Failure that says whose fault it is.
// Classifies by status and code, never by message: messages repeat the input, and a 401 repeats the key.
// For the same reason no error of the SDK is ever kept as a cause.
import { APIConnectionError, APIConnectionTimeoutError, APIError } from "openai";
import { Failure, type FailureFacts } from "../failure/failure.ts";
import { networkCode, safeWord } from "../failure/network-code.ts";
import { believable, retryAfterOf } from "../timing/retry-after.ts";
import { readDuration } from "./pacing/rate-reading.ts";
import { wordsOfProvider } from "./provider-words.ts";

// Both mean that no request will succeed until somebody pays: waiting would hide it.
const SPENT = new Set(["insufficient_quota", "billing_hard_limit_reached", "billing_not_active"]);

// llama-server calls a too long input a server error and names no code: the one message that has to be read.
const TOO_LARGE = /input \((\d+) tokens\) is too large to process|larger than the max context size/;

/**
 * What a thrown value of the SDK means. Anything else it throws is an answer it could not read. `texts`: what was
 * sent, and may not be repeated.
 */
export function failureOfRequest(thrown: unknown, texts: readonly string[] = []): Failure {
  if (thrown instanceof Failure) return thrown;
  if (thrown instanceof APIConnectionTimeoutError)
    return new Failure("embed.unavailable", { facts: { reason: "timeout" } });
  if (thrown instanceof APIConnectionError)
    return new Failure("embed.unavailable", { facts: { reason: networkCode(thrown) } });
  if (thrown instanceof APIError && thrown.status !== undefined)
    return failureOfStatus(thrown.status, thrown, texts);
  return new Failure("embed.bad-answer", {
    facts: { wrong: thrown instanceof SyntaxError ? "not JSON" : "body cut" },
  });
}

function failureOfStatus(status: number, error: APIError, texts: readonly string[]): Failure {
  const tooLong = status === 500 ? TOO_LARGE.exec(error.message) : null;
  if (tooLong !== null)
    return new Failure("embed.input-rejected", { facts: { reason: "too long", tokens: tooLong[1] } });
  const facts = { status, code: safeWord(error.code ?? error.type), request: safeWord(error.requestID) };
  const retryAfterMs = retryAfter(error.headers);
  if (status === 429) {
    const spent = SPENT.has(error.code ?? "") || SPENT.has(error.type ?? "");
    if (!spent) return new Failure("embed.rate-limited", { retryAfterMs, facts });
    return new Failure("embed.denied", { says: "The embedding provider's credit is used up.", facts });
  }
  if (status === 401 || status === 403) return new Failure("embed.denied", { facts });
  if (status === 404 || error.code === "model_not_found")
    return new Failure("embed.model-missing", { facts });
  // A proxy's own 400 has no JSON error in it and says nothing about the texts.
  const blamesInput = (status === 400 || status === 413 || status === 422) && error.error !== undefined;
  const said = { ...facts, providerSays: wordsOfProvider(error.error, texts) };
  if (blamesInput) return failureOfBadRequest(error, said);
  return new Failure("embed.unavailable", { retryAfterMs, facts: said });
}

function failureOfBadRequest(error: APIError, facts: FailureFacts): Failure {
  if (error.param === "model") return new Failure("embed.model-missing", { facts });
  if (error.param === "dimensions") return new Failure("embed.wrong-dimension", { facts });
  return new Failure("embed.input-rejected", { facts: { ...facts, reason: "refused by the provider" } });
}

/**
 * When the provider said to come back, in milliseconds from now; else the reset of a rate window that is used up.
 * At most an hour is believed.
 */
export function retryAfter(headers: Headers | undefined): number | undefined {
  const reset = () => (headers === undefined ? undefined : windowReset(headers));
  return retryAfterOf(headers) ?? reset();
}

function windowReset(headers: Headers): number | undefined {
  const resets = ["requests", "tokens"]
    .filter((window) => headers.get(`x-ratelimit-remaining-${window}`) === "0")
    .map((window) => readDuration(headers.get(`x-ratelimit-reset-${window}`) ?? ""))
    .filter((reset) => reset !== undefined);
  return resets.length === 0 ? undefined : believable(Math.max(...resets));
}
