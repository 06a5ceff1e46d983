// One request, as the pacer sees it: told when it leaves, when it is answered, and how it failed.
import { setImmediate as nextTurn } from "node:timers/promises";
import { failureFromUnknown } from "../failure/from-unknown.ts";
import type { EmbedCall, RequestEnd } from "./embed-call.ts";
import type { Embedder } from "./embedder.ts";
import type { Pacer } from "./pacing/pacer.ts";
import type { RateReading } from "./pacing/rate-reading.ts";

export type Sending = {
  readonly embedder: Embedder;
  readonly pacer: Pacer;
  readonly signal: AbortSignal;
  /** Told how each request ended that we did not end ourselves. */
  readonly told?: (texts: readonly SentText[], end: Omit<RequestEnd, "texts">) => void;
};
/** `wanters`: who waits for its vector; nobody waits for a text that only asks whether the provider is well. */
export type SentText = {
  readonly text: string;
  readonly bytes: number;
  readonly wanters?: ReadonlySet<EmbedCall>;
};
export type Answers = { readonly vectors: readonly Float32Array[]; readonly tokens: number };

// Bytes a token in most languages; the answer says how many there were.
const BYTES_A_TOKEN = 4;

/** Vectors in the order of the texts. Throws what the embedder throws. */
export async function sendTexts(
  { embedder, pacer, signal, told }: Sending,
  texts: readonly SentText[],
  answered: () => void = () => {},
): Promise<Answers> {
  const guess = Math.ceil(texts.reduce((sum, { bytes }) => sum + bytes, 0) / BYTES_A_TOKEN);
  const sent = pacer.sends(guess);
  const startedAt = performance.now();
  const tell = (tokens: number, code: string) =>
    told?.(texts, {
      textsInRequest: texts.length,
      tokensInRequest: tokens,
      elapsedMs: performance.now() - startedAt,
      code,
    });
  let reading: RateReading | undefined;
  try {
    const answer = await embedder.embed(
      texts.map(({ text }) => text),
      signal,
      (rate) => {
        reading = rate;
        answered();
      },
    );
    sent.answered(answer.tokens, reading ?? null);
    tell(answer.tokens, "");
    answered();
    // Whoever receives a vector writes it down at once: milliseconds in which the next request would not leave.
    await nextTurn();
    return answer;
  } catch (thrown) {
    if (signal.aborted) sent.ended();
    else {
      const failure = failureFromUnknown(thrown);
      sent.failed(failure);
      tell(0, failure.code);
    }
    throw thrown;
  }
}
