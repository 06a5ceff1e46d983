// Turns what a server of the OpenAI protocol did wrong into a Failure that says whose fault it is.
// Classifies by status and code, never by message: messages repeat the input, and a 401 repeats the key.
// For the same reason no error of the SDK is ever kept as a cause.
import { APIConnectionError, APIConnectionTimeoutError, APIError } from "openai";
import { Failure, type FailureFacts } from "../failure/failure.ts";

// Both mean that no request will succeed until somebody pays: waiting would hide it.
const SPENT = new Set(["insufficient_quota", "billing_hard_limit_reached", "billing_not_active"]);

// llama-server calls a too long input a server error and names no code: the one message that has to be read.
const TOO_LARGE = /input \((\d+) tokens\) is too large to process|larger than the max context size/;
const LONGEST_WAIT_MS = 3_600_000;

/** What a thrown value of the SDK means. Anything else it throws is an answer it could not read. */
export function failureOfRequest(thrown: unknown): Failure {
  if (thrown instanceof Failure) return thrown;
  if (thrown instanceof APIConnectionTimeoutError)
    return new Failure("embed.unavailable", { facts: { reason: "timeout" } });
  if (thrown instanceof APIConnectionError)
    return new Failure("embed.unavailable", { facts: { reason: networkCode(thrown) } });
  if (thrown instanceof APIError && thrown.status !== undefined)
    return failureOfStatus(thrown.status, thrown);
  return new Failure("embed.bad-answer", {
    facts: { wrong: thrown instanceof SyntaxError ? "not JSON" : "body cut" },
  });
}

function failureOfStatus(status: number, error: APIError): Failure {
  const tooLong = status === 500 ? TOO_LARGE.exec(error.message) : null;
  if (tooLong !== null)
    return new Failure("embed.input-rejected", { facts: { reason: "too long", tokens: tooLong[1] } });
  const facts = { status, code: word(error.code ?? error.type), request: word(error.requestID) };
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
  if (blamesInput) return failureOfBadRequest(error, facts);
  return new Failure("embed.unavailable", { retryAfterMs, facts });
}

function failureOfBadRequest(error: APIError, facts: FailureFacts): Failure {
  if (error.param === "model") return new Failure("embed.model-missing", { facts });
  if (error.param === "dimensions") return new Failure("embed.wrong-dimension", { facts });
  return new Failure("embed.input-rejected", { facts: { ...facts, reason: "refused by the provider" } });
}

/**
 * When the provider said to come back, in milliseconds from now: `retry-after-ms`, `retry-after` (seconds or a
 * date), else the reset of a rate window that is used up. At most an hour is believed.
 */
export function retryAfter(headers: Headers | undefined): number | undefined {
  if (headers === undefined) return undefined;
  const said = inMs(headers.get("retry-after-ms"), 1) ?? inMs(headers.get("retry-after"), 1000);
  const wait = said ?? untilDate(headers.get("retry-after")) ?? windowReset(headers);
  return wait === undefined ? undefined : Math.min(Math.max(wait, 0), LONGEST_WAIT_MS);
}

function inMs(value: string | null, unitMs: number): number | undefined {
  return value !== null && /^\d+(\.\d+)?$/.test(value.trim()) ? Math.ceil(Number(value) * unitMs) : undefined;
}

function untilDate(value: string | null): number | undefined {
  const at = value === null ? Number.NaN : Date.parse(value);
  return Number.isNaN(at) ? undefined : at - Date.now();
}

function windowReset(headers: Headers): number | undefined {
  const resets = ["requests", "tokens"]
    .filter((window) => headers.get(`x-ratelimit-remaining-${window}`) === "0")
    .map((window) => goDuration(headers.get(`x-ratelimit-reset-${window}`) ?? ""))
    .filter((reset) => reset !== undefined);
  return resets.length === 0 ? undefined : Math.max(...resets);
}

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** `6m0s`, `1.5s`, `20ms` in milliseconds. */
function goDuration(value: string): number | undefined {
  const parts = [...value.matchAll(/([\d.]+)(ms|s|m|h)/g)];
  if (parts.length === 0) return undefined;
  return Math.ceil(
    parts.reduce((sum, [, count, unit]) => sum + Number(count) * (UNIT_MS[unit ?? ""] ?? 0), 0),
  );
}

/** The system's code for a broken connection (`ECONNREFUSED`), which the SDK wraps two or three deep. */
function networkCode(error: unknown): string {
  let at: unknown = error;
  for (let depth = 0; depth < 5 && at instanceof Error; depth++) {
    if ("code" in at && typeof at.code === "string") return word(at.code) ?? "network";
    at = at.cause;
  }
  return "network";
}

/** Provider codes and ids are words; anything longer or stranger is not repeated. */
function word(value: unknown): string | undefined {
  return typeof value === "string" && /^[\w.-]{1,64}$/.test(value) ? value : undefined;
}
