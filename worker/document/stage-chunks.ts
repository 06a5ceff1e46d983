// The contract of writing a batch of chunks under a job's lease. Each transport has its own fastest way; the answer
// is that of rag_stage_chunks on all of them.
import type { EmbeddedChunk } from "./chunk.ts";

export type ChunkBatch = {
  readonly jobId: string;
  readonly token: string;
  readonly chunks: readonly EmbeddedChunk[];
  readonly progress: BatchProgress;
};

export type BatchProgress = {
  readonly processedSegments: number;
  readonly tokens: number;
  readonly costUsd: number;
};

/**
 * Stores all of the batch or, where the lease is lost, nothing more of it. Idempotent: what is there already is
 * neither stored nor counted again. The answer is unknown here; the room that asked decodes it.
 * Throws a Failure (`database.*`).
 */
export type StageChunks = (
  batch: ChunkBatch,
  options?: { readonly signal?: AbortSignal },
) => Promise<unknown>;
