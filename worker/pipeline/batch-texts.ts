// A job's side of batches at the provider: says which texts it wants, and takes their vectors when they are there.
// The job cuts twice: once to say all it wants before it lets go of its slot, and once when everything is answered.
import { createHash } from "node:crypto";
import { z } from "zod";
import type { Chunk } from "../document/chunk.ts";
import { Failure } from "../failure/failure.ts";
import type { EmbedBatch } from "./embed-batch.ts";
import { fenceOf, leaseLost, type StepContext } from "./step-context.ts";

export type BatchOptions = {
  readonly model: string;
  readonly dimensions: number;
  /** US dollars per million tokens, as a batch costs. */
  readonly priceUsdPerMillionTokens: number;
  /** Throws `embed.budget-spent` where nothing more may be paid today. */
  readonly admit: () => void;
};

export type BatchTexts = {
  /** Says what it wants; throws `embed.batch-pending` until all of it is answered. */
  want(chunks: AsyncIterable<Chunk>, step: StepContext): Promise<void>;
  /** Vectors of texts that are answered. */
  take(step: StepContext): EmbedBatch;
};

// About 300 KB of text a call.
const PAGE = 250;
/** The end of a batch wakes the job; this is for a wake-up that was lost. */
const LOOK_AGAIN_MS = 3_600_000;

const lost = z.object({ state: z.literal("lease_lost") });
const knownOf = z.union([
  z.object({ state: z.literal("answered"), staged: z.array(z.number()), known: z.array(z.string()) }),
  lost,
]);
const wantedOf = z.union([
  z.object({
    state: z.literal("answered"),
    done: z.number(),
    pending: z.number(),
    unknown: z.array(z.string()),
    failed: z.array(z.object({ embed_sha256: z.string(), says: z.string().nullable() })),
  }),
  lost,
]);
const takenOf = z.union([
  z.object({
    state: z.literal("answered"),
    vectors: z.array(z.object({ embed_sha256: z.string(), embedding: z.string(), tokens: z.number() })),
  }),
  lost,
]);

export function openBatchTexts(options: BatchOptions): BatchTexts {
  const model = { p_model: options.model, p_dimensions: options.dimensions };

  async function ask(texts: readonly object[], step: StepContext) {
    const args = { ...fenceOf(step.job), ...model, p_texts: texts };
    const answer = wantedOf.parse(await step.call("rag_want_texts", args, { signal: step.signal }));
    step.touch();
    if (answer.state === "lease_lost") throw leaseLost();
    const [failed] = answer.failed;
    if (failed !== undefined)
      throw new Failure("embed.input-rejected", { facts: { reason: failed.says ?? "refused" } });
    return answer;
  }

  /** How many of these chunks' texts are still on their way. */
  async function wantPage(page: readonly Chunk[], step: StepContext): Promise<number> {
    const texts = new Map(page.map((chunk) => [sha256(textOf(chunk)), chunk]));
    const unknown = await withoutVector([...texts.keys()], page, step);
    if (unknown.length === 0) return 0;
    const asked = await ask(
      unknown.map((embed_sha256) => ({ embed_sha256, content: null })),
      step,
    );
    if (asked.unknown.length === 0) return asked.pending;
    options.admit();
    const contents = asked.unknown.flatMap((embed_sha256) => {
      const chunk = texts.get(embed_sha256);
      return chunk === undefined ? [] : [{ embed_sha256, content: textOf(chunk) }];
    });
    return asked.pending + (await ask(contents, step)).pending;
  }

  return {
    async want(chunks, step) {
      let pending = 0;
      let page: Chunk[] = [];
      for await (const chunk of chunks) {
        page.push(chunk);
        if (page.length < PAGE) continue;
        pending += await wantPage(page, step);
        page = [];
      }
      pending += await wantPage(page, step);
      if (pending > 0)
        throw new Failure("embed.batch-pending", { retryAfterMs: LOOK_AGAIN_MS, facts: { texts: pending } });
    },
    take: (step) => async (texts) => {
      if (texts.length === 0) return { vectors: [], tokens: 0, costUsd: 0 };
      const hashes = texts.map(sha256);
      const args = { ...fenceOf(step.job), ...model, p_hashes: [...new Set(hashes)] };
      const answer = takenOf.parse(await step.call("rag_take_batch_vectors", args, { signal: step.signal }));
      if (answer.state === "lease_lost") throw leaseLost();
      const byHash = new Map(answer.vectors.map((row) => [row.embed_sha256, row]));
      const vectors = hashes.map((hash) => {
        const row = byHash.get(hash);
        // Collected since it was promised: the next run asks for it again.
        if (row === undefined) throw new Failure("embed.batch-pending", { retryAfterMs: 0 });
        return Float32Array.from(JSON.parse(row.embedding) as number[]); // SAFETY: pgvector's own text.
      });
      const tokens = answer.vectors.reduce((sum, row) => sum + row.tokens, 0);
      return { vectors, tokens, costUsd: (tokens * options.priceUsdPerMillionTokens) / 1_000_000 };
    },
  };
}

/** Hashes of texts for which no vector of the model is stored anywhere. */
async function withoutVector(hashes: readonly string[], page: readonly Chunk[], step: StepContext) {
  if (page.length === 0) return [];
  const asked = page.map((chunk) => ({ chunk_index: chunk.chunkIndex, embed_sha256: sha256(textOf(chunk)) }));
  const args = { ...fenceOf(step.job), p_chunks: asked };
  const answer = knownOf.parse(await step.call("rag_reuse_vectors", args, { signal: step.signal }));
  step.touch();
  if (answer.state === "lease_lost") throw leaseLost();
  const known = new Set(answer.known);
  return hashes.filter((hash) => !known.has(hash));
}

const textOf = (chunk: Chunk) => chunk.embedPrefix + chunk.content;
const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");
