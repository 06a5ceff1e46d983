// One embeddings request in the OpenAI protocol, and its answer as vectors. Used by every server that speaks it.
// The SDK's own retries are off: our queue decides what is tried again, and when.
import OpenAI, { APIUserAbortError } from "openai";
import { z } from "zod";
import { Failure } from "../failure/failure.ts";
import { checkVectors, inOrder } from "./check-answer.ts";
import type { Embeddings } from "./embedder.ts";
import { failureOfRequest } from "./openai-failure.ts";
import { type RateReading, readRate } from "./pacing/rate-reading.ts";

export type Connection = {
  /** null for a server without keys: no Authorization header is sent. */
  readonly apiKey: string | null;
  readonly baseUrl: string;
  readonly timeoutMs: number;
  /** Another way to the server than Node's own `fetch`. */
  readonly fetch?: typeof fetch;
};

export type EmbeddingRequest = {
  readonly model: string;
  readonly texts: readonly string[];
  /** Sent only to models that can shorten their vectors. */
  readonly askDimensions: number | null;
  /** null while the model's dimension is being learned. */
  readonly expectDimensions: number | null;
};

const envelope = z.object({
  data: z.array(
    z.object({ index: z.number().int().optional(), embedding: z.union([z.string(), z.array(z.unknown())]) }),
  ),
  usage: z.object({ prompt_tokens: z.number().int().nonnegative() }).nullish().catch(null),
});

/** A client that reads nothing from the environment. Throws `embed.denied` for a key no header can carry. */
export function openClient(connection: Connection): OpenAI {
  const { apiKey } = connection;
  // Node repeats a header's value in its error; a key with a line break must not come so far.
  if (apiKey !== null && !/^[\x21-\x7e]+$/.test(apiKey))
    throw new Failure("embed.denied", {
      says: "The embedding provider's key holds a character no key has (a space or a line break).",
    });
  return new OpenAI({
    apiKey: apiKey ?? "none",
    adminAPIKey: null,
    organization: null,
    project: null,
    webhookSecret: null,
    baseURL: connection.baseUrl,
    timeout: connection.timeoutMs,
    maxRetries: 0,
    logLevel: "off",
    ...(connection.fetch && { fetch: connection.fetch }),
    ...(apiKey === null ? { defaultHeaders: { authorization: null } } : {}),
  });
}

/** Sends one request; `answered` is called when its answer has arrived, before it is read, with what the provider says of its limits. Throws Failure `embed.*`, or the signal's reason when aborted. */
export async function requestEmbeddings(
  client: OpenAI,
  request: EmbeddingRequest,
  signal: AbortSignal,
  answered: (rate?: RateReading) => void = () => {},
): Promise<Omit<Embeddings, "tokens"> & { readonly tokens: number | null }> {
  signal.throwIfAborted();
  const { text, rate } = await send(client, request, signal);
  answered(rate ?? undefined);
  const answer = readJson(text);
  const parsed = envelope.safeParse(answer);
  if (!parsed.success) throw unreadable(answer);
  const items = inOrder(parsed.data.data, request.texts.length);
  const vectors = items.map(({ embedding }) => decodeEmbedding(embedding));
  return {
    vectors: checkVectors(vectors, { count: request.texts.length, dimensions: request.expectDimensions }),
    tokens: parsed.data.usage?.prompt_tokens ?? null,
  };
}

async function send(client: OpenAI, request: EmbeddingRequest, signal: AbortSignal) {
  // Neither AbortSignal.timeout nor the SDK's limit: the one holds on to each request, its texts and its vectors
  // until the time is over, the other ends at the headers for whoever reads the body himself.
  const ending = new AbortController();
  const end = () => ending.abort();
  const timer = setTimeout(end, client.timeout);
  signal.addEventListener("abort", end);
  try {
    const sent = client.embeddings.create(
      {
        model: request.model,
        input: [...request.texts],
        // A third of the bytes of a JSON array, and no number to parse.
        encoding_format: "base64",
        ...(request.askDimensions === null ? {} : { dimensions: request.askDimensions }),
      },
      { signal: ending.signal },
    );
    const response = await sent.asResponse();
    return { text: await response.text(), rate: readRate(response.headers) };
  } catch (thrown) {
    signal.throwIfAborted();
    if (ending.signal.aborted) throw new Failure("embed.unavailable", { facts: { reason: "timeout" } });
    if (thrown instanceof APIUserAbortError)
      throw new Failure("embed.unavailable", { facts: { reason: "aborted" } });
    throw failureOfRequest(thrown, request.texts);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", end);
  }
}

/** The text itself where it is no JSON. */
function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** An answer of status 200 that is no embedding: a portal's or proxy's page is an outage, the rest is nonsense. */
function unreadable(answer: unknown): Failure {
  const page = typeof answer === "string" && /^\s*</.test(answer);
  if (page) return new Failure("embed.unavailable", { facts: { reason: "HTML instead of JSON" } });
  return new Failure("embed.bad-answer", { facts: { wrong: "shape" } });
}

/** A vector as the protocol sends it. Throws `embed.bad-answer`. */
export function decodeEmbedding(embedding: string | readonly unknown[]): Float32Array {
  if (typeof embedding !== "string") {
    // Float32Array.from would turn null, which is how JSON writes NaN, into a believable 0.
    return Float32Array.from(embedding, (value) => (typeof value === "number" ? value : Number.NaN));
  }
  // Straight into memory of its own: what Buffer.from gives is shared and not aligned to four bytes.
  const room = Math.ceil(Buffer.byteLength(embedding, "base64") / Float32Array.BYTES_PER_ELEMENT);
  const vector = new Float32Array(room);
  const length = Buffer.from(vector.buffer).write(embedding, "base64") / Float32Array.BYTES_PER_ELEMENT;
  if (!Number.isInteger(length)) throw new Failure("embed.bad-answer", { facts: { wrong: "base64 length" } });
  // Shorter where signs stand in it that count for nothing, such as the ends of lines.
  return length === room ? vector : vector.slice(0, length);
}
