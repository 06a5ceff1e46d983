// Texts on their way to vectors through batches at OpenAI: what the turns of llm-batches do for them.
import { createWriteStream } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import type { Activity } from "../activity/activity.ts";
import type { Ledger } from "../costs/ledger.ts";
import type { SqlCall } from "../document/sql-call.ts";
import { vectorText } from "../document/vector-text.ts";
import type { BatchApi, BatchResult, BatchState } from "../embedders/openai-batches.ts";
import { Failure } from "../failure/failure.ts";
import type { BatchWork } from "./llm-batches.ts";

export type EmbeddingBatchesOptions = {
  readonly call: SqlCall;
  readonly activity: Activity;
  readonly api: BatchApi;
  readonly ledger: Pick<Ledger, "admit" | "add">;
  readonly workerId: string;
  readonly model: string;
  readonly dimensions: number;
  readonly priceUsdPerMillionTokens: number;
};

const PROVIDER = "openai";
// Half of what a batch may hold: an answer of 20,000 vectors is 170 MB already.
const MOST_INPUTS = 20_000;
const RESULTS_A_CALL = 100;

const filledOf = z.object({ id: z.string().nullable(), inputs: z.number() });
const pageOf = z.array(z.object({ id: z.number(), embed_sha256: z.string(), content: z.string() }));
const paidOf = z.array(z.object({ tenant_id: z.string(), tokens: z.coerce.number() }));

export function openEmbeddingBatches(options: EmbeddingBatchesOptions): BatchWork<BatchState> {
  const { call, api, activity, workerId, priceUsdPerMillionTokens } = options;
  return {
    provider: PROVIDER,
    mostInputs: MOST_INPUTS,
    takeTurn: (seconds) =>
      call("rag_take_llm_turn", {
        p_worker: workerId,
        p_provider: PROVIDER,
        p_kind: "embeddings",
        p_seconds: seconds,
      }),
    admit: () => options.ledger.admit(),
    async fill() {
      const given = { p_worker: workerId, p_provider: PROVIDER, p_limit: MOST_INPUTS };
      const { model, dimensions } = options;
      const asked = { ...given, p_model: model, p_dimensions: dimensions };
      return filledOf.parse(await call("rag_fill_llm_batch", asked)).id;
    },
    submit: (id) => submit(id, options),
    async noteSubmitted(id, providerId) {
      await call("rag_submit_llm_batch", { p_batch: id, p_provider_batch_id: providerId });
    },
    isRefusal: ({ code }) => code === "embed.input-rejected",
    find: ({ id }) => api.find(id),
    look: (providerId) => api.look(providerId),
    async collect({ id }, seen) {
      const tokens = await collect(id, seen, options);
      return { tokens, costUsd: (tokens * priceUsdPerMillionTokens) / 1_000_000 };
    },
    cancel: (providerId) => api.cancel(providerId),
    async end(id, outcome, code, { tokens, costUsd }) {
      await call("rag_end_llm_batch", {
        p_batch: id,
        p_outcome: outcome,
        p_detail: code,
        p_tokens: tokens,
        p_cost_usd: costUsd.toFixed(8),
      });
    },
    forget: (_batch, seen) => api.forget([seen.inputFile, ...seen.files]),
    failed: (code) => activity.say("embeddings.failed", { provider: PROVIDER, code, durationMs: 0 }),
  };
}

async function submit(id: string, options: EmbeddingBatchesOptions): Promise<string | null> {
  const folder = await mkdtemp(join(tmpdir(), "rag-batch-"));
  try {
    const path = join(folder, `${id}.jsonl`);
    return (await writeRequests(path, id, options)) === 0 ? null : await options.api.submit(path, id);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** How many lines the file has. */
async function writeRequests(path: string, id: string, options: EmbeddingBatchesOptions): Promise<number> {
  const file = createWriteStream(path, { mode: 0o600 });
  let lines = 0;
  let after = 0;
  for (;;) {
    const page = pageOf.parse(await options.call("rag_read_llm_batch", { p_batch: id, p_after: after }));
    const last = page.at(-1);
    if (last === undefined) break;
    after = last.id;
    lines += page.length;
    const text = page.map((row) => options.api.line(row.embed_sha256, row.content)).join("");
    if (!file.write(text)) await new Promise<void>((resolve) => file.once("drain", () => resolve()));
  }
  await new Promise<void>((resolve, reject) => file.once("error", reject).end(() => resolve()));
  return lines;
}

/** Answers the tokens that were stored now. */
async function collect(id: string, seen: BatchState, options: EmbeddingBatchesOptions): Promise<number> {
  let tokens = 0;
  for (const file of seen.files) {
    let part: BatchResult[] = [];
    for await (const result of options.api.results(file)) {
      // Neither a vector nor an error of its own: it waits for the next batch.
      if (result.vector === null && result.error === null) continue;
      part.push(result);
      if (part.length < RESULTS_A_CALL) continue;
      tokens += await store(id, part, options);
      part = [];
    }
    tokens += await store(id, part, options);
  }
  return tokens;
}

/** Answers the tokens that were stored now, and books them. */
async function store(
  id: string,
  part: readonly BatchResult[],
  options: EmbeddingBatchesOptions,
): Promise<number> {
  if (part.length === 0) return 0;
  const paid = paidOf.parse(
    await options.call("rag_store_llm_results", {
      p_batch: id,
      p_results: part.map((result) => ({
        embed_sha256: result.customId,
        embedding: result.vector === null ? null : vectorText(result.vector),
        tokens: result.tokens,
        error: result.error,
      })),
    }),
  );
  for (const { tenant_id: tenantId, tokens } of paid)
    options.ledger.add({
      tenantId,
      model: options.model,
      tokens,
      costUsd: (tokens * options.priceUsdPerMillionTokens) / 1_000_000,
    });
  return paid.reduce((sum, one) => sum + one.tokens, 0);
}

/** Throws `config.invalid` where the provider or the way of cutting has no batches. */
export function checkBatchMode(provider: string, strategy: string): void {
  const refuse = (says: string) => {
    throw new Failure("config.invalid", { says });
  };
  if (provider !== "openai")
    refuse(`RAG_OPENAI_BATCH needs OpenAI as the embedding provider; it is ${provider}. Switch it off.`);
  if (strategy === "semantic")
    refuse(
      "RAG_OPENAI_BATCH does not go with RAG_CHUNK_STRATEGY=semantic, which has to ask before it can cut. Switch one of them off.",
    );
}
