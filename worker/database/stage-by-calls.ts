// Chunks as JSON through rag_stage_chunks, vectors as text: the way that every transport has.
import { z } from "zod";
import type { EmbeddedChunk } from "../document/chunk.ts";
import type { SqlCall } from "../document/sql-call.ts";
import type { BatchProgress, StageChunks } from "../document/stage-chunks.ts";
import { vectorText } from "../document/vector-text.ts";

/** What rag_stage_chunks answers; only `state` where the lease is lost. */
export const staged = z.object({
  state: z.string(),
  stored: z.number().default(0),
  reused: z.number().default(0),
  missing: z.array(z.number()).default([]),
  processed_chunks: z.number().default(0),
});
export type Staged = z.infer<typeof staged>;

// Larger bodies are slower for each row, and some proxies refuse them.
const CALL_BYTES = 1_000_000;
const VECTOR_TEXT_BYTES = 12;
const ROW_BYTES = 600;

export function stageByCalls(call: SqlCall): StageChunks {
  return ({ jobId, token, chunks, progress }, options) =>
    inTurn(packed(chunks, { bytes: CALL_BYTES }, textBytes), progress, async (pack, share) =>
      staged.parse(
        await call(
          "rag_stage_chunks",
          {
            p_job_id: jobId,
            p_lease_token: token,
            p_chunks: pack.map(rowOf),
            p_progress: progressRow(share),
          },
          options,
        ),
      ),
    );
}

/** One after the other, the cost with the first; ends early when the lease is lost. */
export async function inTurn(
  packs: readonly (readonly EmbeddedChunk[])[],
  progress: BatchProgress,
  send: (pack: readonly EmbeddedChunk[], progress: BatchProgress) => Promise<Staged>,
): Promise<Staged> {
  let sum: Staged = { state: "staged", stored: 0, reused: 0, missing: [], processed_chunks: 0 };
  let share = progress;
  for (const pack of packs) {
    const answer = await send(pack, share);
    if (answer.state !== "staged") return answer;
    sum = {
      ...answer,
      stored: sum.stored + answer.stored,
      reused: sum.reused + answer.reused,
      missing: [...sum.missing, ...answer.missing],
    };
    share = { ...progress, tokens: 0, costUsd: 0 };
  }
  return sum;
}

/** Cut so that each pack has at most so many bytes (or a single row) and rows; one at least, also of no rows. */
export function packed(
  chunks: readonly EmbeddedChunk[],
  most: { readonly bytes: number; readonly rows?: number },
  bytesOf: (chunk: EmbeddedChunk) => number,
): readonly (readonly EmbeddedChunk[])[] {
  const packs: EmbeddedChunk[][] = [[]];
  let bytes = 0;
  let rows = 0;
  for (const chunk of chunks) {
    const own = bytesOf(chunk);
    if (rows > 0 && (bytes + own > most.bytes || rows === most.rows)) {
      packs.push([]);
      bytes = 0;
      rows = 0;
    }
    packs.at(-1)?.push(chunk);
    bytes += own;
    rows += 1;
  }
  return packs;
}

const textBytes = (chunk: EmbeddedChunk): number =>
  ROW_BYTES +
  chunk.content.length +
  chunk.embedPrefix.length +
  VECTOR_TEXT_BYTES * (chunk.embedding?.length ?? 0);

export const progressRow = (progress: BatchProgress) => ({
  processed_segments: progress.processedSegments,
  tokens: progress.tokens,
  cost_usd: progress.costUsd,
});

export const rowOf = (chunk: EmbeddedChunk) => ({
  chunk_index: chunk.chunkIndex,
  content: chunk.content,
  content_sha256: chunk.contentSha256,
  embed_sha256: chunk.embedSha256,
  char_start: chunk.charStart,
  char_end: chunk.charEnd,
  token_count: chunk.tokenCount,
  page_number: chunk.pageNumber,
  section: chunk.section,
  speaker: chunk.speaker,
  started_ms: chunk.startedMs,
  ended_ms: chunk.endedMs,
  segment_from: chunk.segmentFrom,
  segment_to: chunk.segmentTo,
  embed_prefix: chunk.embedPrefix,
  embedding: chunk.embedding === null ? null : vectorText(chunk.embedding),
});
