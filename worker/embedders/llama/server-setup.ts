// What a llama-server of ours is started with, decided once from the model file and the settings.
import { availableParallelism } from "node:os";
import type { ModelFile } from "./model-file.ts";
import type { WantedPlace } from "./place.ts";

export type ServerSetup = {
  readonly program: string;
  readonly model: ModelFile;
  readonly where: WantedPlace;
  /** Tokens of the longest text, its special ones included. */
  readonly context: number;
  readonly threads: number;
  readonly startupMs: number;
  readonly graceSeconds: number;
  readonly environment: Readonly<Record<string, string>>;
  /** Bytes a new process may take, null where nobody can tell. */
  readonly freeMemory: () => Promise<number | null>;
};

// Four texts at once in one pass of the model: 1.6 times as fast with texts of 10 tokens, no difference with 160
// (MiniLM f16, one thread). A model with a cache would take the cache's memory four times.
const SLOTS = 4;
// What the program takes beside weights, cache and scratch: 50 MB measured, and some room.
const PROGRAM_BYTES = 80 << 20;

/** One core is left to the worker itself: a second thread on two busy cores made it eight times slower. */
export const defaultThreads = (): number => Math.max(1, Math.min(4, availableParallelism() - 1));

export const slotsOf = (model: ModelFile): number => (model.caches ? 1 : SLOTS);

/** Upper bound of the memory that the server takes: weights, cache and the largest matrix of attention. */
export function neededBytes(
  { model, context }: Pick<ServerSetup, "model" | "context">,
  slots: number,
): number {
  const cache = model.caches ? model.cacheBytesPerToken * context * slots : 0;
  const scratch = context * context * model.heads * Float32Array.BYTES_PER_ELEMENT;
  return PROGRAM_BYTES + model.bytes + cache + scratch;
}

/** `name` is what the server is to call its model, so that nobody else's server is taken for ours. */
export function argumentsOf(
  { model, context, threads }: ServerSetup,
  { host, port }: { readonly host: string; readonly port: number },
  slots: number,
  name: string,
): readonly string[] {
  const flags: Readonly<Record<string, string | number>> = {
    "-m": model.path,
    "-a": name,
    "--host": host,
    "--port": port,
    // The context is shared by the slots; a text has to fit into one physical batch.
    "-c": context * slots,
    "-b": context,
    "-ub": context,
    "-np": slots,
    "-t": threads,
    "-tb": threads,
  };
  return ["--embeddings", ...Object.entries(flags).flatMap(([flag, value]) => [flag, String(value)])];
}
