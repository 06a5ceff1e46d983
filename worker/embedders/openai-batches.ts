// OpenAI's Batch API for embeddings: a file of requests, a batch over it, a file of answers within a day, at half the
// price. Source: https://platform.openai.com/docs/guides/batch
// Nothing is remembered here: who calls keeps the ids, and finds a batch again by what it was told to carry.
import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import { APIError } from "openai";
import { z } from "zod";
import { checkVectors } from "./check-answer.ts";
import { failureOfRequest } from "./openai-failure.ts";
import { openAiModel } from "./openai-models.ts";
import { type Connection, decodeEmbedding, openClient } from "./openai-protocol.ts";

/** How a batch stands: `running`, or how it ended, as the provider says it. */
export type BatchState = {
  readonly state: "running" | "completed" | "failed" | "expired" | "cancelled";
  /** Answers, and answers that are errors; null where there are none. */
  readonly files: readonly string[];
  readonly inputFile: string;
  /** The provider's code when it took the batch for invalid as a whole. */
  readonly code: string | null;
};

export type BatchResult = {
  readonly customId: string;
  /** null: this text has no vector; `error` says why, null that it was never processed. */
  readonly vector: Float32Array | null;
  readonly tokens: number;
  readonly error: string | null;
};

export type BatchApi = {
  /** One line of the file of requests. */
  line(customId: string, text: string): string;
  /** Uploads the file and starts a batch that carries `ownId`. Answers the provider's id. */
  submit(path: string, ownId: string): Promise<string>;
  /** The batch that carries `ownId`, among the newest; null when the provider has none. */
  find(ownId: string): Promise<string | null>;
  look(id: string): Promise<BatchState>;
  results(file: string): AsyncIterable<BatchResult>;
  cancel(id: string): Promise<void>;
  /** Removes files that nobody needs any more; never throws. */
  forget(files: readonly string[]): Promise<void>;
};

export type BatchApiOptions = Connection & {
  readonly model: string;
  readonly dimensions: number;
};

const ENDPOINT = "/v1/embeddings";
const OWN_ID = "rag_batch";
// A batch that was started a moment before a crash is among the newest.
const NEWEST = 100;
const ENDED = new Set(["completed", "failed", "expired", "cancelled"]);
/** A vector of 3,072 numbers is 16 KB in base64 and 70 KB as numbers. */
const LONGEST_LINE = 1 << 20;

const answerLine = z.object({
  custom_id: z.string(),
  response: z
    .object({
      status_code: z.number(),
      body: z
        .object({
          data: z.array(z.object({ embedding: z.union([z.string(), z.array(z.unknown())]) })).nullish(),
          usage: z.object({ prompt_tokens: z.number() }).nullish(),
          error: z.object({ code: z.unknown().optional(), type: z.unknown().optional() }).nullish(),
        })
        .nullish(),
    })
    .nullish(),
  error: z.object({ code: z.unknown().optional() }).nullish(),
});

/** Every call throws Failure `embed.*`. */
export function openBatchApi(options: BatchApiOptions): BatchApi {
  const client = openClient(options);
  const { model, dimensions } = options;
  const asksDimensions = openAiModel(model)?.shortens === true;
  const asked = async <Value>(ask: () => Promise<Value>): Promise<Value> => {
    try {
      return await ask();
    } catch (thrown) {
      throw failureOfRequest(thrown);
    }
  };
  return {
    line: (customId, text) =>
      `${JSON.stringify({
        custom_id: customId,
        method: "POST",
        url: ENDPOINT,
        body: { model, input: text, encoding_format: "base64", ...(asksDimensions && { dimensions }) },
      })}\n`,
    submit: (path, ownId) =>
      asked(async () => {
        const file = await client.files.create({ file: createReadStream(path), purpose: "batch" });
        const batch = await client.batches.create({
          input_file_id: file.id,
          endpoint: ENDPOINT,
          completion_window: "24h",
          metadata: { [OWN_ID]: ownId },
        });
        return batch.id;
      }),
    find: (ownId) =>
      asked(async () => {
        const { data } = await client.batches.list({ limit: NEWEST });
        return data.find((batch) => batch.metadata?.[OWN_ID] === ownId)?.id ?? null;
      }),
    look: (id) =>
      asked(async () => {
        const batch = await client.batches.retrieve(id);
        return {
          // SAFETY: the set holds nothing else.
          state: ENDED.has(batch.status) ? (batch.status as BatchState["state"]) : "running",
          files: [batch.output_file_id, batch.error_file_id].filter((file) => file != null),
          inputFile: batch.input_file_id,
          code: batch.errors?.data?.[0]?.code ?? null,
        };
      }),
    async *results(file) {
      const answer = await asked(() => client.files.content(file));
      if (answer.body === null) return;
      // SAFETY: the two types of one web stream differ in name alone.
      const bytes = Readable.fromWeb(answer.body as import("node:stream/web").ReadableStream);
      for await (const line of createInterface({ input: bytes, crlfDelay: Number.POSITIVE_INFINITY }))
        if (line.trim() !== "" && line.length <= LONGEST_LINE) yield readLine(line, dimensions);
    },
    cancel: (id) =>
      asked(async () => {
        try {
          await client.batches.cancel(id);
        } catch (thrown) {
          // It has ended in the meantime.
          if (!(thrown instanceof APIError && (thrown.status === 409 || thrown.status === 400))) throw thrown;
        }
      }),
    async forget(files) {
      for (const file of files) await client.files.delete(file).catch(() => {});
    },
  };
}

function readLine(line: string, dimensions: number): BatchResult {
  const { custom_id: customId, response, error } = answerLine.parse(JSON.parse(line));
  const status = response?.status_code ?? 0;
  const embedding = response?.body?.data?.[0]?.embedding;
  if (status === 200 && embedding !== undefined) {
    const [vector] = checkVectors([decodeEmbedding(embedding)], { count: 1, dimensions });
    return {
      customId,
      vector: vector ?? null,
      tokens: response?.body?.usage?.prompt_tokens ?? 0,
      error: null,
    };
  }
  // The request's own fault; anything else (expired, 429, 5xx) is tried again.
  const isOwnFault = status === 400 || status === 413 || status === 422;
  const code = response?.body?.error?.code ?? response?.body?.error?.type ?? error?.code;
  const word = typeof code === "string" && /^[\w.-]{1,64}$/.test(code) ? ` (${code})` : "";
  return { customId, vector: null, tokens: 0, error: isOwnFault ? `refused with ${status}${word}` : null };
}
