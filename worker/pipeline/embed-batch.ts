// Texts to vectors through the process's shared batcher, with what it cost.
import type { Events } from "../activity/catalogue.ts";
import type { Failure } from "../failure/failure.ts";

export type EmbedBatch = (
  texts: readonly string[],
  signal: AbortSignal,
) => Promise<{
  /** In the order of the texts; null for one that the provider refuses. */
  readonly vectors: readonly (Float32Array | null)[];
  readonly tokens: number;
  readonly costUsd: number;
  /** Why, by index; empty or absent when nothing was refused. */
  readonly rejected?: ReadonlyMap<number, Failure>;
}>;

/** A request to the provider that carried texts of one job, as that job sees it. */
export type HeardRequest = Omit<Events["request.ended"], "jobId">;

/** The same, told on whose behalf; `hear` is called for each request that carried some of the texts. */
export type EmbedFor = (
  tenantId: string,
  texts: readonly string[],
  signal: AbortSignal,
  hear?: (request: HeardRequest) => void,
) => ReturnType<EmbedBatch>;
