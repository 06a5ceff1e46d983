// A query into a vector of the model that the stored chunks have, by whoever has that model.
import { RagError } from "./rag-error.ts";

export type Embedded = { readonly model: string; readonly embeddings: readonly (readonly number[])[] };
export type Embed = (texts: readonly string[], signal?: AbortSignal) => Promise<Embedded>;

export type EmbedSource =
  /** POST /embed of a worker: its RAG_HTTP_TOKEN, and the model it ingests with. */
  | { readonly worker: { readonly url: string; readonly token: string } }
  /** OpenAI, or whoever speaks its protocol. The model and dimensions must be those of the worker. */
  | {
      readonly openai: {
        readonly apiKey: string;
        readonly model: string;
        readonly dimensions?: number;
        readonly baseUrl?: string;
        /** What the worker calls the model, where that is another name. */
        readonly storedAs?: string;
      };
    }
  | Embed;

const PATIENCE_MS = 30_000;

export function openEmbed(source: EmbedSource): Embed {
  if (typeof source === "function") return source;
  if ("worker" in source) {
    const { url, token } = source.worker;
    return async (texts, signal) => {
      const answer = await post(`${url.replace(/\/+$/, "")}/embed`, token, { texts }, signal);
      return checked(answer.model, answer.embeddings, texts.length);
    };
  }
  const {
    apiKey,
    model,
    dimensions,
    baseUrl = "https://api.openai.com/v1",
    storedAs = model,
  } = source.openai;
  return async (texts, signal) => {
    const body = {
      model,
      input: texts,
      encoding_format: "float",
      ...(dimensions !== undefined && { dimensions }),
    };
    const answer = await post(`${baseUrl.replace(/\/+$/, "")}/embeddings`, apiKey, body, signal);
    const rows = (Array.isArray(answer.data) ? answer.data : []) as { index: number; embedding: unknown }[];
    const inOrder = rows.toSorted((one, other) => one.index - other.index).map((row) => row.embedding);
    return checked(storedAs, inOrder, texts.length);
  };
}

/** Redirects are refused: they would carry the key elsewhere. */
async function post(
  url: string,
  key: string,
  body: unknown,
  signal: AbortSignal | undefined,
): Promise<Record<string, unknown>> {
  const patience = AbortSignal.timeout(PATIENCE_MS);
  const response = await fetch(url, {
    method: "POST",
    redirect: "error",
    headers: { "content-type": "application/json", authorization: `Bearer ${key}` },
    body: JSON.stringify(body),
    signal: signal === undefined ? patience : AbortSignal.any([signal, patience]),
  }).catch((thrown: unknown) => {
    if (signal?.aborted) throw thrown;
    throw new RagError("embed.unavailable", "Whoever embeds could not be reached.");
  });
  const answer: unknown = await response.json().catch(() => null);
  const error = isRecord(answer) && isRecord(answer.error) ? answer.error : {};
  if (!response.ok)
    throw new RagError(
      String(error.code ?? `http.${response.status}`),
      String(error.message ?? response.statusText),
    );
  if (!isRecord(answer)) throw new RagError("embed.bad-answer", "The answer was not JSON.");
  return answer;
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null;

function checked(model: unknown, embeddings: unknown, count: number): Embedded {
  const isVector = (vector: unknown): vector is number[] =>
    Array.isArray(vector) && vector.length > 0 && vector.every((value) => Number.isFinite(value));
  if (
    typeof model !== "string" ||
    !Array.isArray(embeddings) ||
    embeddings.length !== count ||
    !embeddings.every(isVector)
  )
    throw new RagError("embed.bad-answer", "The answer was not one vector of numbers for each text.");
  return { model, embeddings };
}
