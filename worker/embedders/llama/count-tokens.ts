// How many tokens a text has, counted by the server that will read it.
import { z } from "zod";
import { Failure } from "../../failure/failure.ts";
import { HERE } from "./fetch-at.ts";

const Answer = z.object({ tokens: z.array(z.unknown()) });
const LIMIT_MS = 30_000;

/** With the special tokens that the model adds. Throws `embed.unavailable`, or the signal's reason. */
export async function countTokens(
  text: string,
  fetch: typeof globalThis.fetch,
  signal: AbortSignal,
): Promise<number> {
  try {
    const answer = await fetch(`${HERE}/tokenize`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ content: text, add_special: true }),
      signal: AbortSignal.any([signal, AbortSignal.timeout(LIMIT_MS)]),
    });
    return Answer.parse(await answer.json()).tokens.length;
  } catch {
    signal.throwIfAborted();
    throw new Failure("embed.unavailable", { facts: { reason: "texts are not counted", path: "/tokenize" } });
  }
}
