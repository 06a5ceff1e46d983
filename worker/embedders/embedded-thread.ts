// A thread that turns texts into vectors one after another, so that the main thread never waits for arithmetic.
import { parentPort, workerData } from "node:worker_threads";
import type { FailureCode } from "../failure/catalogue.ts";
import { Failure } from "../failure/failure.ts";
import { openNativeEngine } from "./embedded-native.ts";
import { openWasmEngine } from "./embedded-wasm.ts";

export type EngineName = "native" | "wasm";

export type Engine = {
  embed(input: EngineInput): Promise<Float32Array>;
  close(): Promise<void>;
};

/** The text as each engine wants it: with its ids, [CLS] and [SEP] included, or for a tokenizer of its own. */
export type EngineInput = { readonly text: string; readonly ids: BigInt64Array };

export type ThreadSetup = {
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

async function run(setup: ThreadSetup, post: (message: FromThread) => void): Promise<void> {
  const engine = await open(setup).catch((thrown: unknown) => {
    const code = thrown instanceof Failure ? thrown.code : null;
    post({ refused: { code, says: messageOf(thrown) } });
    return null;
  });
  if (engine === null) return parentPort?.close();
  let last: Promise<void> = Promise.resolve();
  parentPort?.on("message", (message: ToThread) => {
    // One after another: two runs at once would only share the same core.
    last = last.then(() => (message === "close" ? finish(engine) : answer(engine, message, post)));
  });
  post({ ready: true });
}

function open(setup: ThreadSetup): Promise<Engine> {
  return setup.engine === "native" ? openNativeEngine(setup) : openWasmEngine(setup);
}

async function answer(
  engine: Engine,
  { id, input }: Exclude<ToThread, "close">,
  post: (message: FromThread) => void,
): Promise<void> {
  try {
    post({ id, vector: await engine.embed(input) });
  } catch (thrown) {
    post({ id, error: messageOf(thrown) });
  }
}

async function finish(engine: Engine): Promise<void> {
  await engine.close();
  parentPort?.close();
}

function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

// SAFETY: only embedded-threads.ts starts this file, with this setup.
await run(workerData as ThreadSetup, (message) => parentPort?.postMessage(message));
