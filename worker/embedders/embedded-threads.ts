// The threads that run the embedded model, and the line of texts that waits for them.
// Each costs 100 to 200 MB, so a thread starts when all others have work. One that dies fails only the texts it
// had, and the next text starts another.
import pLimit from "p-limit";
import { orAborted } from "../timing/durations.ts";
import type { EngineInput } from "./engine.ts";
import type { EngineThread } from "./engine-thread.ts";

export type EngineThreads = {
  /** A vector for each input, in order. Throws the signal's reason as soon as it is aborted. */
  run(inputs: readonly EngineInput[], signal: AbortSignal): Promise<readonly Float32Array[]>;
  close(): Promise<void>;
};

// A thread has one text at work and the next at hand. More would make an abort wait for texts nobody wants.
const TEXTS_PER_THREAD = 2;

type Slot = { thread: Promise<EngineThread> | null; texts: number };

/** Starts a thread; calls `ended` when it is gone, for whatever reason. */
export type StartThread = (ended: () => void) => Promise<EngineThread>;

/** Starts the first of at most `count` threads and waits until its model is loaded. Throws what `start` throws. */
export async function openEngineThreads(start: StartThread, count: number): Promise<EngineThreads> {
  const limit = pLimit(count * TEXTS_PER_THREAD);
  const slots: Slot[] = Array.from({ length: count }, () => ({ thread: null, texts: 0 }));
  await threadOf(leastBusy(slots));

  function threadOf(slot: Slot): Promise<EngineThread> {
    if (slot.thread !== null) return slot.thread;
    // The end of an old thread may be told after a new one has taken its place.
    const leave = () => {
      if (slot.thread === thread) slot.thread = null;
    };
    const thread = start(leave);
    slot.thread = thread;
    thread.catch(leave);
    return thread;
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
      signal.throwIfAborted();
      const failing = new AbortController();
      const either = AbortSignal.any([signal, failing.signal]);
      const askInTurn = (input: EngineInput) =>
        limit(() =>
          ask(input, either).catch((thrown: unknown) => {
            failing.abort(thrown); // What still stands in the line is for nobody.
            throw thrown;
          }),
        );
      return await orAborted(Promise.all(inputs.map(askInTurn)), signal);
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
