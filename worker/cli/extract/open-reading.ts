// The worker's own reader and cutter, opened without a database and, where the model is the embedded one,
// without its weights: cutting needs only its tokenizer, unless it compares what snippets mean.
import { resolve } from "node:path";
import { openChunker } from "../../chunkers/open-chunker.ts";
import type { Config } from "../../config/config.ts";
import { chunkLimits, extraction } from "../../derived-options.ts";
import type { Tokenizer } from "../../document/tokenizer.ts";
import { openBatcher } from "../../embedders/batch.ts";
import { MINILM_POSITIONS } from "../../embedders/minilm-model.ts";
import { chooseProvider, openEmbedder } from "../../embedders/open-embedder.ts";
import { openExtractors } from "../../extractors/isolation/extract-isolated.ts";
import { openTokenizer } from "../../tokenizers/open-tokenizer.ts";
import type { Reading } from "./read-file.ts";

export type OpenReading = Reading & {
  /** Files read side by side. */
  readonly atOnce: number;
  close(): Promise<void>;
};

// [CLS] and [SEP] are the model's own.
const SPECIAL_TOKENS = 2;

/** Throws `config.invalid`, and `embed.*` where a server has to be asked how it counts. */
export async function openReading(config: Config): Promise<OpenReading> {
  const model = await openModel(config);
  const limits = chunkLimits(config, model.maxTokens);
  const options = extraction(config);
  const extractors = openExtractors(options);
  return {
    atOnce: options.concurrency,
    extract: extractors.extract,
    cut: openChunker(config.chunkStrategy, limits, model.tokenizer).cut,
    embed: model.embed,
    maxBytes: config.maxFileMb * 1024 * 1024,
    async close() {
      await extractors.close();
      await model.close();
    },
  };
}

type Model = Pick<Reading, "embed"> & {
  readonly tokenizer: Tokenizer;
  readonly maxTokens: number;
  close(): Promise<void>;
};

async function openModel(config: Config): Promise<Model> {
  if (chooseProvider(config) === "embedded" && config.chunkStrategy !== "semantic")
    return {
      tokenizer: openTokenizer("bert-wordpiece"),
      maxTokens: MINILM_POSITIONS - SPECIAL_TOKENS,
      embed: async () => [],
      close: async () => {},
    };
  const embedder = await openEmbedder(config, {
    tokenizer: async (name) => openTokenizer(name),
    cacheDir: resolve(config.embeddedDir, "models"),
  });
  const batcher = openBatcher(embedder, {
    batch: config.embeddingBatch,
    concurrency: config.embeddingConcurrency,
  });
  return {
    tokenizer: embedder.tokenizer,
    maxTokens: embedder.limits.maxTokensPerInput,
    embed: async (texts, signal) => (await batcher.embed(texts, signal)).vectors,
    async close() {
      await batcher.close();
      await embedder.close();
    },
  };
}
