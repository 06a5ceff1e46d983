// Finds the text at fault in a request that failed, so that it costs only itself. A plain word decides first whose
// fault it is: where that fails too, the provider is away or takes nothing, and no text is to blame. Else the request
// is halved until the bad text stands alone. Never on 429 or a bad key, where each half would fail as well.
// Costs at most 2 log2(n) + 1 requests for one bad text among n.
import { Failure } from "../failure/failure.ts";
import { failureFromUnknown } from "../failure/from-unknown.ts";
import type { WantedText } from "./packer.ts";
import { type Answers, type Sending, sendTexts } from "./send-texts.ts";

export type Isolating = Sending & {
  readonly deliver: (request: readonly WantedText[], answers: Answers) => void;
  readonly refuse: (wanted: WantedText, failure: Failure) => void;
};

// What a single text can bring about: a refusal, a server's error, a hang, a vector that is none.
const BLAMES_A_TEXT = new Set<string>(["embed.input-rejected", "embed.unavailable", "embed.bad-answer"]);
const CANARY = "canary";
const CANARY_MS = 10_000;
// A half should take no longer than the whole did; one that hangs must not hang as long each time.
const LEAST_HALF_MS = 5_000;

/**
 * Delivers what can be embedded and refuses what cannot. Throws when no text is at fault: the failure itself, or
 * what became of the plain word. `tookMs`: how long the whole request took to fail.
 */
export async function isolate(
  way: Isolating,
  request: readonly WantedText[],
  failure: Failure,
  tookMs: number,
): Promise<void> {
  way.signal.throwIfAborted();
  if (!BLAMES_A_TEXT.has(failure.code)) throw failure;
  if (failure.facts.input === undefined) await sendCanary(way, failure);
  await narrow(way, request, failure, Math.max(LEAST_HALF_MS, tookMs));
}

/** Throws unless the provider embeds a plain word just now. */
async function sendCanary(way: Isolating, failure: Failure): Promise<void> {
  const limit = AbortSignal.timeout(CANARY_MS);
  const signal = AbortSignal.any([way.signal, limit]);
  const canary = { text: CANARY, bytes: CANARY.length };
  try {
    await sendTexts({ ...way, signal }, [canary]);
  } catch (thrown) {
    way.signal.throwIfAborted();
    const other = failureFromUnknown(thrown);
    if (limit.aborted || other.code === "embed.unavailable" || other.code === "embed.bad-answer")
      throw failure;
    if (other.code === "embed.input-rejected") throw new Failure("embed.refused", { facts: failure.facts });
    throw other;
  }
}

/** `request` has failed by `failure`, and the provider is well. */
async function narrow(
  way: Isolating,
  request: readonly WantedText[],
  failure: Failure,
  limitMs: number,
): Promise<void> {
  const known = failure.facts.input ?? failure.facts.vector;
  const suspect = typeof known === "number" ? request[known] : undefined;
  if (suspect !== undefined && failure.code === "embed.input-rejected") {
    way.refuse(suspect, failure);
    await attempt(
      way,
      request.filter((wanted) => wanted !== suspect),
      limitMs,
    );
    return;
  }
  const [only] = request;
  if (request.length === 1 && only !== undefined) {
    // A server's error may have been an accident; a refusal was not.
    if (failure.code === "embed.input-rejected") way.refuse(only, failure);
    else await attempt(way, request, limitMs, true);
    return;
  }
  const [one, other] =
    suspect === undefined
      ? [request.slice(0, Math.ceil(request.length / 2)), request.slice(Math.ceil(request.length / 2))]
      : [request.filter((wanted) => wanted !== suspect), [suspect]];
  const isFine = await attempt(way, one, limitMs, one.length === 1);
  // What made the whole fail stands in the other part then: sending that as it is would only fail again.
  if (isFine && other.length > 1) await narrow(way, other, withoutPlace(failure), limitMs);
  else await attempt(way, other, limitMs, true);
}

/** Whether all of them were embedded. `final`: one that fails alone is refused, for it has failed before. */
async function attempt(
  way: Isolating,
  part: readonly WantedText[],
  limitMs: number,
  final = false,
): Promise<boolean> {
  const wanted = part.filter(({ state, wanters }) => state === "under way" && wanters.size > 0);
  const [only] = wanted;
  if (only === undefined) return true;
  const limit = AbortSignal.timeout(limitMs);
  const startedAt = performance.now();
  try {
    way.deliver(wanted, await sendTexts({ ...way, signal: AbortSignal.any([way.signal, limit]) }, wanted));
    return true;
  } catch (thrown) {
    way.signal.throwIfAborted();
    const failure = limit.aborted ? hangs() : failureFromUnknown(thrown);
    if (!BLAMES_A_TEXT.has(failure.code)) throw failure;
    if (wanted.length === 1 && final) way.refuse(only, asRejected(failure));
    else await narrow(way, wanted, failure, Math.max(LEAST_HALF_MS, performance.now() - startedAt));
    return false;
  }
}

const hangs = () => new Failure("embed.unavailable", { facts: { reason: "timeout" } });

function withoutPlace(failure: Failure): Failure {
  const facts = { ...failure.facts, vector: undefined, input: undefined };
  return new Failure(failure.code, { says: failure.message, facts });
}

/** The provider is well and fails for this text alone, again and again: that is the text's fault. */
function asRejected(failure: Failure): Failure {
  if (failure.code === "embed.input-rejected") return failure;
  const { wrong, ...facts } = failure.facts;
  const reason = facts.reason ?? (wrong === undefined ? "server error" : `no usable answer (${wrong})`);
  return new Failure("embed.input-rejected", { facts: { ...facts, vector: undefined, reason } });
}
