// What shapes the chunks of a file besides its bytes. Not the plan itself, which only a worker with its model knows:
// where this is the same and the plan is not, the worker still cuts anew when the file is enqueued.
import type { Config } from "../../config/config.ts";
import { EXTRACTION_VERSION } from "../../extractors/extractor.ts";

export type ChunkSettings = Pick<
  Config,
  "chunkStrategy" | "chunkTokens" | "chunkOverlapTokens" | "chunkHeadingPrefix" | "embeddingCharLimit"
>;

export const readAs = (config: ChunkSettings): string =>
  [
    `extraction/${EXTRACTION_VERSION}`,
    config.chunkStrategy,
    `tokens=${config.chunkTokens}`,
    `overlap=${config.chunkOverlapTokens}`,
    `chars=${config.embeddingCharLimit}`,
    ...(config.chunkHeadingPrefix ? ["heading-prefix"] : []),
  ].join(" ");
