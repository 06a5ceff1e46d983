// Texts to vectors through the process's shared batcher, with what it cost.

export type EmbedBatch = (
  texts: readonly string[],
  signal: AbortSignal,
) => Promise<{
  readonly vectors: readonly Float32Array[];
  readonly tokens: number;
  readonly costUsd: number;
}>;
