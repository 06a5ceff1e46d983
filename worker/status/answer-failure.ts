// A failure as an answer: whether it is the sender's, will pass, or is ours.
import { type Answer, isRefusedValue, refusal, refusedValue } from "../document/http-answer.ts";
import type { Failure } from "../failure/failure.ts";

export function answerFailure(failure: Failure): Answer {
  if (isRefusedValue(failure)) return refusedValue(failure);
  const isTheirs = failure.code === "embed.input-rejected";
  const willPass = failure.kind === "transient" || failure.kind === "waiting";
  const headers = willPass ? { "retry-after": String(Math.ceil((failure.retryAfterMs ?? 1000) / 1000)) } : {};
  return refusal(isTheirs ? 422 : willPass ? 503 : 500, failure.code, failure.message, headers);
}
