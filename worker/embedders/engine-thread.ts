// One thread with the embedded model in it, seen from the main thread.
import { setTimeout as after } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { programEnvironment, threadEnvironment } from "../config/program-environment.ts";
import { Failure } from "../failure/failure.ts";
import type { EngineInput, EngineSetup, FromThread, ToThread } from "./engine.ts";

export type EngineThread = {
  /** Throws `embed.unavailable` when the thread dies before it answers. */
  ask(input: EngineInput): Promise<Float32Array>;
  /** Lets the thread finish what it has, for a few seconds. */
  close(): Promise<void>;
};

/** Thrown when the engine does not work on this machine at all, so that another one may be tried. */
export class EngineMissing extends Error {
  override readonly name = "EngineMissing";
}

const CLOSE_WITHIN_MS = 5000;

/**
 * Starts a thread and waits until its model is loaded: 0.3 s, some seconds the first time. `ended` is called
 * when it is gone, for whatever reason. Throws `embed.model-missing`, `embed.unavailable` or EngineMissing.
 */
export async function startEngineThread(setup: EngineSetup, ended: () => void): Promise<EngineThread> {
  const worker = new Worker(new URL("./embedded-thread.ts", import.meta.url), {
    workerData: setup,
    execArgv: [],
    env: { ...programEnvironment(), ...threadEnvironment() },
  });
  const tasks = new Map<number, PromiseWithResolvers<Float32Array>>();
  const ready = Promise.withResolvers<void>();
  const gone = Promise.withResolvers<void>();
  let lastId = 0;

  worker.on("message", (message: FromThread) => {
    if ("ready" in message) ready.resolve();
    else if ("refused" in message) ready.reject(refusal(message.refused));
    else settle(message);
  });
  worker.on("error", () => {}); // "exit" follows; an unheard "error" would end the process.
  worker.on("exit", (exitCode) => {
    const failure = new Failure("embed.unavailable", {
      facts: { reason: "embedding thread ended", exitCode },
    });
    ready.reject(failure);
    for (const task of tasks.values()) task.reject(failure);
    ended();
    gone.resolve();
  });

  function settle(message: Extract<FromThread, { id: number }>): void {
    const task = tasks.get(message.id);
    tasks.delete(message.id);
    // A process must be able to end while a thread idles, and not while somebody waits for a vector.
    if (tasks.size === 0) worker.unref();
    if ("vector" in message) task?.resolve(message.vector);
    else
      task?.reject(
        new Failure("embed.bad-answer", { facts: { wrong: "engine error" }, cause: message.error }),
      );
  }

  await ready.promise;
  worker.unref();
  return {
    ask(input) {
      const task = Promise.withResolvers<Float32Array>();
      tasks.set(++lastId, task);
      worker.ref();
      worker.postMessage({ id: lastId, input } satisfies ToThread);
      return task.promise;
    },
    async close() {
      worker.ref();
      worker.postMessage("close" satisfies ToThread);
      await Promise.race([gone.promise, after(CLOSE_WITHIN_MS, undefined, { ref: false })]);
      await worker.terminate();
    },
  };
}

function refusal({ code, says }: Extract<FromThread, { refused: unknown }>["refused"]): Error {
  return code === null ? new EngineMissing(says) : new Failure(code, { says });
}
