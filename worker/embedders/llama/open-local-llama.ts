// From the settings to a llama-server of ours: finds program and model file, and starts neither.
import { resolve } from "node:path";
import type { Config } from "../../config/config.ts";
import { programEnvironment } from "../../config/program-environment.ts";
import type { Tokenizer, WordPieceVocabulary } from "../../document/tokenizer.ts";
import { Failure } from "../../failure/failure.ts";
import type { Embedder } from "../embedder.ts";
import { modelName } from "../llama-server-identity.ts";
import { findProgram } from "./find-program.ts";
import { freeMemory } from "./free-memory.ts";
import { openLocalLlama } from "./local-llama.ts";
import { type ModelFile, readModelFile } from "./model-file.ts";
import { checkHost } from "./place.ts";
import type { ServerNews } from "./server-on-demand.ts";
import { defaultThreads } from "./server-setup.ts";

export type LocalLlamaConfig = Pick<
  Config,
  | "embeddingModel"
  | "embeddingDimensions"
  | "llamaServerModel"
  | "llamaServerBin"
  | "llamaServerHost"
  | "llamaServerPort"
  | "llamaServerCtxSize"
  | "llamaServerThreads"
  | "llamaServerStartupTimeoutSeconds"
  | "llamaServerShutdownTimeoutSeconds"
  | "llamaServerIdleSeconds"
>;

export type LocalLlamaParts = {
  readonly tokenizer: (of: "cl100k_base" | WordPieceVocabulary) => Promise<Tokenizer>;
  readonly tell?: (news: ServerNews) => void;
};

/**
 * Throws `embed.model-missing`, `embed.model-mismatch`, `embed.wrong-dimension` or `config.invalid`: nothing that
 * could pass by itself.
 */
export async function openConfiguredLocalLlama(
  path: string,
  config: LocalLlamaConfig,
  parts: LocalLlamaParts,
): Promise<Embedder> {
  checkHost(config.llamaServerHost);
  const environment = programEnvironment();
  const program = await findProgram(config.llamaServerBin, environment.PATH ?? "");
  const model = await readModelFile(resolve(path));
  checkWanted(model, config);
  const { vocabulary } = model;
  return openLocalLlama({
    setup: {
      program,
      model,
      where: { host: config.llamaServerHost, port: config.llamaServerPort },
      context: Math.min(config.llamaServerCtxSize, model.context),
      threads: config.llamaServerThreads ?? defaultThreads(),
      startupMs: config.llamaServerStartupTimeoutSeconds * 1000,
      graceSeconds: config.llamaServerShutdownTimeoutSeconds,
      environment,
      freeMemory,
    },
    tokenizer: await parts.tokenizer(vocabulary ?? "cl100k_base"),
    counts: vocabulary !== null,
    idleMs: config.llamaServerIdleSeconds * 1000,
    ...(parts.tell && { tell: parts.tell }),
  });
}

function checkWanted(model: ModelFile, { embeddingModel, embeddingDimensions }: LocalLlamaConfig): void {
  if (embeddingModel !== null && modelName(embeddingModel) !== model.name)
    throw new Failure("embed.model-mismatch", {
      says: "LLAMA_SERVER_MODEL is the file of another model than RAG_EMBEDDING_MODEL names.",
      facts: { wanted: modelName(embeddingModel), served: model.name },
    });
  if (embeddingDimensions !== null && embeddingDimensions !== model.dimensions)
    throw new Failure("embed.wrong-dimension", {
      says: `${model.name} has ${model.dimensions} dimensions. RAG_EMBEDDING_DIMENSIONS says otherwise.`,
    });
}
