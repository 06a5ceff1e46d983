// Chunks to stored vectors, a batch at a time and several batches in flight. Texts that have a vector of the
// same model anywhere are not sent: what is paid for once is copied by the database.
import { createHash } from "node:crypto";
import { z } from "zod";
import type { Chunk, EmbeddedChunk } from "../document/chunk.ts";
import type { EmbedBatch } from "./embed-batch.ts";
import { type RejectedChunk, rejectChunks } from "./reject-chunks.ts";
import { stageChunks } from "./stage-chunks.ts";
import { fenceOf, leaseLost, type StepContext, waitInLine } from "./step-context.ts";
import { tellStep } from "./tell-step.ts";

type Hashed = Chunk & Pick<EmbeddedChunk, "contentSha256" | "embedSha256">;

const reuseAnswer = z.discriminatedUnion("state", [
  z.object({
    state: z.literal("answered"),
    staged: z.array(z.number().int()),
    known: z.array(z.string()),
  }),
  z.object({ state: z.literal("lease_lost") }),
]);

export type Stored = {
  readonly stored: number;
  readonly reused: number;
  /** Recorded, and not stored. */
  readonly rejected: readonly RejectedChunk[];
};

/**
 * Stores one batch; answers how many chunks are new, how many of these have a copied vector, and which the provider
 * refuses.
 */
export async function embedChunks(
  chunks: readonly Chunk[],
  embed: EmbedBatch,
  progress: { readonly processedSegments: () => number },
  step: StepContext,
): Promise<Stored> {
  const hashed = chunks.map(withHashes);
  const { staged, known } = await tellStep("reuse", step, () => askWhatIsThere(hashed, step));
  const missing = hashed.filter((chunk) => !staged.has(chunk.chunkIndex));
  if (missing.length === 0) return { stored: 0, reused: 0, rejected: [] };

  const toSend = missing.filter((chunk) => !known.has(chunk.embedSha256));
  const sent = await embedRows(toSend, embed, step);
  const copies = missing.filter((chunk) => known.has(chunk.embedSha256)).map(withoutVector);
  const rows = [...copies, ...sent.rows];
  if (rows.length === 0) return { stored: 0, reused: 0, rejected: sent.rejected };

  const first = await stageChunks(
    rows,
    { ...sent.paid, processedSegments: progress.processedSegments() },
    step,
  );
  if (first.missing.length === 0) return { ...first, rejected: sent.rejected };

  // A vector that was there a moment ago has been collected since: pay for it after all.
  const again = await embedRows(
    rows.filter((row) => first.missing.includes(row.chunkIndex)),
    embed,
    step,
  );
  const last = await stageChunks(again.rows, { ...again.paid, processedSegments: 0 }, step);
  const rejected = [...sent.rejected, ...again.rejected];
  return { stored: first.stored + last.stored, reused: first.reused, rejected };
}

/** Rows with their vectors. What the provider refuses is recorded and left out. */
async function embedRows(chunks: readonly Hashed[], embed: EmbedBatch, step: StepContext) {
  // A provider that is paced may let a text wait for long; it is asked within its own time limit.
  const { vectors, rejected: refused, ...paid } = await sendTexts(chunks.map(textOf), embed, step);
  step.touch();
  const rows = chunks.flatMap((chunk, at) => {
    const embedding = vectors[at] ?? null;
    return embedding === null ? [] : [{ ...chunk, embedding }];
  });
  const rejected = [...(refused ?? [])].flatMap(([at, failure]) => {
    const chunk = chunks[at];
    return chunk === undefined ? [] : [{ chunk, failure }];
  });
  if (rejected.length > 0) await rejectChunks(rejected, step);
  return { rows, rejected, paid };
}

async function sendTexts(texts: readonly string[], embed: EmbedBatch, step: StepContext) {
  const send = () => waitInLine(step, embed(texts, step.signal));
  if (texts.length === 0) return await send();
  return await tellStep("embed", step, send, ({ tokens }) => ({ texts: texts.length, tokens }));
}

const withoutVector = (chunk: Hashed): EmbeddedChunk => ({ ...chunk, embedding: null });

const textOf = (chunk: Chunk) => chunk.embedPrefix + chunk.content;

function withHashes(chunk: Chunk): Hashed {
  const contentSha256 = sha256(chunk.content);
  return {
    ...chunk,
    contentSha256,
    embedSha256: chunk.embedPrefix === "" ? contentSha256 : sha256(textOf(chunk)),
  };
}

const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");

async function askWhatIsThere(chunks: readonly Hashed[], step: StepContext) {
  const answer = reuseAnswer.parse(
    await step.call(
      "rag_reuse_vectors",
      {
        ...fenceOf(step.job),
        p_chunks: chunks.map((chunk) => ({ chunk_index: chunk.chunkIndex, embed_sha256: chunk.embedSha256 })),
      },
      { signal: step.signal },
    ),
  );
  step.touch();
  if (answer.state === "lease_lost") throw leaseLost();
  return { staged: new Set(answer.staged), known: new Set(answer.known) };
}
