// Chunks to stored vectors, a batch at a time and several batches in flight. Texts that have a vector of the
// same model anywhere are not sent: what is paid for once is copied by the database.
import { createHash } from "node:crypto";
import { z } from "zod";
import type { Chunk, EmbeddedChunk } from "../document/chunk.ts";
import type { EmbedBatch } from "./embed-batch.ts";
import { stageChunks } from "./stage-chunks.ts";
import { fenceOf, leaseLost, type StepContext } from "./step-context.ts";

type Hashed = Chunk & Pick<EmbeddedChunk, "contentSha256" | "embedSha256">;

const reuseAnswer = z.discriminatedUnion("state", [
  z.object({
    state: z.literal("answered"),
    staged: z.array(z.number().int()),
    known: z.array(z.string()),
  }),
  z.object({ state: z.literal("lease_lost") }),
]);

export type Stored = { readonly stored: number; readonly reused: number };

/** Stores one batch; answers how many chunks are new, and how many of these have a copied vector. */
export async function embedChunks(
  chunks: readonly Chunk[],
  embed: EmbedBatch,
  progress: { readonly processedSegments: () => number },
  step: StepContext,
): Promise<Stored> {
  const hashed = chunks.map(withHashes);
  const { staged, known } = await askWhatIsThere(hashed, step);
  const missing = hashed.filter((chunk) => !staged.has(chunk.chunkIndex));
  if (missing.length === 0) return { stored: 0, reused: 0 };

  const toSend = missing.filter((chunk) => !known.has(chunk.embedSha256));
  const answer = await embed(toSend.map(textOf), step.signal);
  step.touch();
  const rows = missing.map((chunk) => ({ ...chunk, embedding: null as Float32Array | null }));
  const sent = rows.filter((row) => !known.has(row.embedSha256));
  for (const [at, row] of sent.entries()) row.embedding = answer.vectors[at] ?? null;

  const first = await stageChunks(rows, { ...answer, processedSegments: progress.processedSegments() }, step);
  if (first.missing.length === 0) return first;

  // A vector that was there a moment ago has been collected since: pay for it after all.
  const again = rows.filter((row) => first.missing.includes(row.chunkIndex));
  const second = await embed(again.map(textOf), step.signal);
  const repaid = again.map((row, at) => ({ ...row, embedding: second.vectors[at] ?? null }));
  const last = await stageChunks(repaid, { ...second, processedSegments: 0 }, step);
  return { stored: first.stored + last.stored, reused: first.reused };
}

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
