// The worker's own reader and cutter, opened without a database and, where the model is the embedded one,
// without its weights: cutting needs only its tokenizer.
import { availableParallelism } from "node:os";
import { resolve } from "node:path";
import { MOST_CHARS } from "../../assemble.ts";
import type { ChunkLimits } from "../../chunkers/chunker.ts";
import { openChunker } from "../../chunkers/open-chunker.ts";
import type { Config } from "../../config/config.ts";
import type { Tokenizer } from "../../document/tokenizer.ts";
import { MINILM_POSITIONS } from "../../embedders/minilm-model.ts";
import { chooseProvider, openEmbedder } from "../../embedders/open-embedder.ts";
import { openExtractors } from "../../extractors/extract-isolated.ts";
import { openTokenizer } from "../../tokenizers/open-tokenizer.ts";
import type { Reading } from "./read-file.ts";

export type OpenReading = Reading & {
  /** Files read side by side. */
  readonly atOnce: number;
  close(): Promise<void>;
};

const MOST_AT_ONCE = 4;
// [CLS] and [SEP] are the model's own.
const SPECIAL_TOKENS = 2;

/** Throws `config.invalid`, and `embed.*` where a server has to be asked how it counts. */
export async function openReading(config: Config): Promise<OpenReading> {
  const counting = await openCounting(config);
  const limits: ChunkLimits = {
    tokens: Math.min(config.chunkTokens, counting.maxTokens),
    overlapTokens: config.chunkOverlapTokens,
    chars: config.embeddingCharLimit,
  };
  const atOnce = Math.min(MOST_AT_ONCE, availableParallelism());
  const extractors = openExtractors({
    limits: {
      timeoutMs: config.extractTimeoutSeconds * 1000,
      memoryMb: config.extractMemoryMb,
      maxChars: MOST_CHARS,
    },
    concurrency: atOnce,
  });
  return {
    atOnce,
    extract: extractors.extract,
    cut: openChunker(config.chunkStrategy, limits, counting.tokenizer).cut,
    maxBytes: config.maxFileMb * 1024 * 1024,
    close: () => extractors.close(),
  };
}

async function openCounting(config: Config): Promise<{ tokenizer: Tokenizer; maxTokens: number }> {
  if (chooseProvider(config) === "embedded")
    return { tokenizer: openTokenizer("bert-wordpiece"), maxTokens: MINILM_POSITIONS - SPECIAL_TOKENS };
  const embedder = await openEmbedder(config, {
    tokenizer: async (name) => openTokenizer(name),
    cacheDir: resolve(config.embeddedDir, "models"),
  });
  await embedder.close();
  return { tokenizer: embedder.tokenizer, maxTokens: embedder.limits.maxTokensPerInput };
}
