// The threads that run the embedded model, and the line of texts that waits for them.
// Each costs 100 to 200 MB, so a thread starts when all others have work. One that dies fails only the texts it
// had, and the next text starts another.
import pLimit from "p-limit";
import type { EngineInput, EngineSetup } from "./engine.ts";
import { type EngineThread, startEngineThread } from "./engine-thread.ts";

export type EngineThreads = {
  /** A vector for each input, in order. Throws the signal's reason as soon as it is aborted. */
  run(inputs: readonly EngineInput[], signal: AbortSignal): Promise<readonly Float32Array[]>;
  close(): Promise<void>;
};

// A thread has one text at work and the next at hand. More would make an abort wait for texts nobody wants.
const TEXTS_PER_THREAD = 2;

type Slot = { thread: Promise<EngineThread> | null; texts: number };

/** Starts the first thread and waits until its model is loaded. Throws as startEngineThread does. */
export async function openEngineThreads(setup: EngineSetup, count: number): Promise<EngineThreads> {
  const limit = pLimit(count * TEXTS_PER_THREAD);
  const slots: Slot[] = Array.from({ length: count }, () => ({ thread: null, texts: 0 }));
  await threadOf(leastBusy(slots));

  async function threadOf(slot: Slot): Promise<EngineThread> {
    const empty = () => {
      slot.thread = null;
    };
    slot.thread ??= startEngineThread(setup, empty);
    return slot.thread;
  }

  async function ask(input: EngineInput, signal: AbortSignal): Promise<Float32Array> {
    signal.throwIfAborted();
    const slot = leastBusy(slots);
    slot.texts += 1;
    try {
      const thread = await threadOf(slot);
      return await thread.ask(input);
    } finally {
      slot.texts -= 1;
    }
  }

  return {
    async run(inputs, signal) {
      const failing = new AbortController();
      const either = AbortSignal.any([signal, failing.signal]);
      try {
        return await orAborted(Promise.all(inputs.map((input) => limit(() => ask(input, either)))), signal);
      } catch (thrown) {
        failing.abort(thrown); // What still stands in the line is for nobody.
        throw thrown;
      }
    },
    async close() {
      const threads = await Promise.allSettled(slots.map((slot) => slot.thread));
      await Promise.all(
        threads.map((thread) => (thread.status === "fulfilled" ? thread.value?.close() : null)),
      );
    },
  };
}

function leastBusy(slots: readonly Slot[]): Slot {
  return slots.reduce((least, slot) => (slot.texts < least.texts ? slot : least));
}

async function orAborted<Value>(work: Promise<Value>, signal: AbortSignal): Promise<Value> {
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  const stop = () => aborted.reject(signal.reason);
  signal.addEventListener("abort", stop, { once: true });
  try {
    return await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}
