// Asks a llama-server who it is: health, model, dimension, context and kind of vocabulary.
import { z } from "zod";
import { Failure } from "../failure/failure.ts";

export type LlamaAddress = {
  readonly url: string;
  /** null: it wants none. */
  readonly apiKey: string | null;
};

export type LlamaIdentity = {
  /** Name of the model file without folder and `.gguf`; precision that does not change vectors is left out. */
  readonly model: string;
  readonly dimensions: number | null;
  /** Tokens it reads at once, [CLS] and [SEP] or their like included. */
  readonly context: number;
  /** True for the vocabulary of uncased BERT models, whose tokens we can count ourselves. */
  readonly countsAsBert: boolean;
};

const Models = z.object({
  data: z
    .array(
      z.object({
        id: z.string().min(1),
        meta: z
          .object({
            vocab_type: z.number().optional(),
            n_vocab: z.number().optional(),
            n_embd: z.number().int().positive().optional(),
          })
          .nullish(),
      }),
    )
    .min(1),
});
const Props = z.object({ default_generation_settings: z.object({ n_ctx: z.number().int().positive() }) });

const ASK_WITHIN_MS = 10_000;
const WORDPIECE = 3;
const BERT_UNCASED_WORDS = 30_522;

/**
 * Throws `embed.unavailable` while the server is down or loads its model, `embed.denied` for a refused key, and
 * `embed.model-missing` when another program answers there.
 */
export async function askIdentity(server: LlamaAddress, signal: AbortSignal): Promise<LlamaIdentity> {
  await askJson(server, "/health", signal); // 503 until the model is loaded.
  const [models, props] = await Promise.all([
    askJson(server, "/v1/models", signal),
    askJson(server, "/props", signal),
  ]);
  const served = Models.safeParse(models).data?.data[0];
  const context = Props.safeParse(props).data?.default_generation_settings.n_ctx;
  if (served === undefined || context === undefined) throw notALlamaServer();
  const { meta } = served;
  return {
    model: modelName(served.id),
    dimensions: meta?.n_embd ?? null,
    context,
    countsAsBert: meta?.vocab_type === WORDPIECE && meta.n_vocab === BERT_UNCASED_WORDS,
  };
}

/** `/models/all-MiniLM-L6-v2.f16.gguf` -> `all-MiniLM-L6-v2`; q8_0 and its like change vectors and stay. */
export function modelName(id: string): string {
  const file = id.slice(Math.max(id.lastIndexOf("/"), id.lastIndexOf("\\")) + 1);
  return file.replace(/\.gguf$/i, "").replace(/[.-](f32|f16|bf16)$/i, "");
}

/** Without a slash at the end, and without the `/v1` that other clients want to be told. */
export function serverRoot(url: string): string {
  return url.replace(/\/+$/, "").replace(/\/v1$/, "");
}

async function askJson(server: LlamaAddress, path: string, signal: AbortSignal): Promise<unknown> {
  const response = await ask(server, path, signal);
  if (response.status === 401 || response.status === 403)
    throw new Failure("embed.denied", {
      says: "llama-server refused the worker's key. Set LLAMA_SERVER_API_KEY to the one that it was started with.",
      facts: { status: response.status, path },
    });
  if (response.status === 404) throw notALlamaServer();
  if (!response.ok) throw new Failure("embed.unavailable", { facts: { status: response.status, path } });
  return await response.json().catch(() => {
    signal.throwIfAborted();
    throw notALlamaServer();
  });
}

async function ask({ url, apiKey }: LlamaAddress, path: string, signal: AbortSignal): Promise<Response> {
  try {
    return await fetch(`${serverRoot(url)}${path}`, {
      ...(apiKey !== null && { headers: { authorization: `Bearer ${apiKey}` } }),
      signal: AbortSignal.any([signal, AbortSignal.timeout(ASK_WITHIN_MS)]),
    });
  } catch {
    signal.throwIfAborted();
    throw new Failure("embed.unavailable", {
      facts: { reason: "llama-server does not answer", path },
    });
  }
}

function notALlamaServer(): Failure {
  return new Failure("embed.model-missing", {
    says: "What answers at LLAMA_SERVER_URL is no llama-server. For another server use OPENAI_BASE_URL.",
  });
}
