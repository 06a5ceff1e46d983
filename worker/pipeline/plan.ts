// Everything that shapes a document's chunks and vectors, as the database compares it: equal content and equal
// plan give equal chunks, so that work is resumed, or skipped when it is live already.
import type { ChunkLimits, ChunkStrategy } from "../chunkers/chunker.ts";
import type { Embedder } from "../embedders/embedder.ts";
import { EXTRACTION_VERSION } from "../extractors/extractor.ts";

export type Plan = {
  readonly embedding_model: string;
  readonly dimensions: number;
  readonly quantisation: string;
  readonly strategy: string;
  readonly chunk_size: number;
  readonly chunk_overlap: number;
  readonly plan: string;
};

export function planOf(
  embedder: Pick<Embedder, "model" | "dimensions" | "quantisation" | "tokenizer">,
  strategy: ChunkStrategy,
  limits: ChunkLimits,
  /** Who writes a line for each chunk, and how; null where nobody does. */
  contexts: string | null = null,
): Plan {
  return {
    embedding_model: embedder.model,
    dimensions: embedder.dimensions,
    quantisation: embedder.quantisation ?? "none",
    strategy: strategy.name,
    chunk_size: limits.tokens,
    chunk_overlap: limits.overlapTokens,
    plan: [
      `extraction/${EXTRACTION_VERSION}`,
      `${strategy.name}/${strategy.version}`,
      `tokenizer=${embedder.tokenizer.name}`,
      `tokens=${limits.tokens}`,
      `overlap=${limits.overlapTokens}`,
      `chars=${limits.chars}`,
      ...(limits.headingPrefix === true ? ["heading-prefix"] : []),
      ...(contexts === null ? [] : [`contexts=${contexts}`]),
    ].join(" "),
  };
}
