// Is the server that answers ours, does it give a text the same vector in any company, and does it count as we do?
// A server that fails the second is worse than none: its vectors would be stored for good and found never.
import { z } from "zod";
import type { Tokenizer } from "../../document/tokenizer.ts";
import { Failure } from "../../failure/failure.ts";
import { openClient, requestEmbeddings } from "../openai-protocol.ts";
import { countTokens } from "./count-tokens.ts";
import { HERE } from "./fetch-at.ts";
import type { ServerSetup } from "./server-setup.ts";
import { portTaken } from "./start-failure.ts";

const CANARIES = [
  "canary",
  "The lease belongs to one worker for a minute, and nobody else writes meanwhile.",
  `Überprüfung der Größe: ${"a longer canary sings for the whole of a morning. ".repeat(6)}`,
];
const SHORT_CONTEXT = 128;
// Kernels for other batch sizes differ in the fifth digit; neighbours that leak into a vector in the first.
const ALIKE = 0.999;
const LIMIT_MS = 60_000;
const SPECIAL_TOKENS = 2;

/** Thrown with several slots when vectors depend on who shares the batch: one slot may do. */
export class UnlikeInBatch extends Error {
  override readonly name = "UnlikeInBatch";
}

const Models = z.object({ data: z.array(z.object({ id: z.string() })) });

/** On a port somebody else's server may answer while ours finds the port taken. Throws `config.invalid` then. */
export async function proveOurs(
  setup: Pick<ServerSetup, "where">,
  name: string,
  fetch: typeof globalThis.fetch,
  signal: AbortSignal,
): Promise<void> {
  const answer = await fetch(`${HERE}/v1/models`, { signal: AbortSignal.any([signal, limit()]) });
  const served = Models.safeParse(await answer.json().catch(() => null)).data?.data[0]?.id;
  if (served !== name) throw portTaken(setup);
}

/** Throws UnlikeInBatch, `embed.model-missing` (with one slot), `embed.wrong-dimension` or what a request throws. */
export async function proveVectors(
  setup: ServerSetup,
  slots: number,
  fetch: typeof globalThis.fetch,
  signal: AbortSignal,
): Promise<void> {
  const client = openClient({ apiKey: null, baseUrl: `${HERE}/v1`, timeoutMs: LIMIT_MS, fetch });
  const embed = async (texts: readonly string[]) => {
    const asked = { model: "canary", texts, askDimensions: null, expectDimensions: setup.model.dimensions };
    return (await requestEmbeddings(client, asked, signal)).vectors;
  };
  const texts = setup.context < SHORT_CONTEXT ? CANARIES.slice(0, 2) : CANARIES;
  const together = await embed(texts);
  for (const [at, text] of texts.entries()) {
    const [alone] = await embed([text]);
    if (likeness(alone, together[at]) >= ALIKE) continue;
    if (slots > 1) throw new UnlikeInBatch();
    throw new Failure("embed.model-missing", {
      says: `llama-server (${setup.program}) gives a text another vector inside a batch than alone, also with one slot. Use another build of it.`,
    });
  }
}

/** Whether the tokenizer counts the canaries as the server does. */
export async function countsAlike(
  tokenizer: Tokenizer,
  fetch: typeof globalThis.fetch,
  signal: AbortSignal,
): Promise<boolean> {
  for (const text of CANARIES) {
    const counted = await countTokens(text, fetch, signal);
    if (counted !== tokenizer.count(text) + SPECIAL_TOKENS) return false;
  }
  return true;
}

/** Cosine. */
function likeness(one: Float32Array | undefined, other: Float32Array | undefined): number {
  if (one === undefined || other === undefined) return 0;
  let [dot, ones, others] = [0, 0, 0];
  for (const [at, value] of one.entries()) {
    const opposite = other[at] ?? 0;
    dot += value * opposite;
    ones += value * value;
    others += opposite * opposite;
  }
  return dot / Math.sqrt(ones * others);
}

const limit = () => AbortSignal.timeout(LIMIT_MS);
