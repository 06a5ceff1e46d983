// A thread that turns texts into vectors one after another, so that the main thread never waits for arithmetic.
import { parentPort, workerData } from "node:worker_threads";
import { Failure } from "../failure/failure.ts";
import { openNativeEngine } from "./embedded-native.ts";
import { openWasmEngine } from "./embedded-wasm.ts";
import type { Engine, EngineSetup, FromThread, ToThread } from "./engine.ts";

async function run(setup: EngineSetup, post: (message: FromThread) => void): Promise<void> {
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

function open(setup: EngineSetup): Promise<Engine> {
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

// SAFETY: only engine-thread.ts starts this file, with this setup.
await run(workerData as EngineSetup, (message) => parentPort?.postMessage(message));
