// What an engine of the embedded model is, and the messages between the main thread and the one it runs in.
import type { FailureCode } from "../failure/catalogue.ts";

export type EngineName = "native" | "wasm";

export type Engine = {
  embed(input: EngineInput): Promise<Float32Array>;
  close(): Promise<void>;
};

/** The text as each engine wants it: with its ids, [CLS] and [SEP] included, or for a tokenizer of its own. */
export type EngineInput = { readonly text: string; readonly ids: BigInt64Array };

export type EngineSetup = {
  readonly engine: EngineName;
  readonly cacheDir: string;
  readonly weightsPath: string | undefined;
};

export type ToThread = { readonly id: number; readonly input: EngineInput } | "close";

export type FromThread =
  | { readonly ready: true }
  /** A Failure loses its class on the way between threads; null: the engine does not work on this machine. */
  | { readonly refused: { readonly code: FailureCode | null; readonly says: string } }
  | { readonly id: number; readonly vector: Float32Array }
  | { readonly id: number; readonly error: string };
