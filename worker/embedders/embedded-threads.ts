// The threads that run the embedded model, and the line of texts that waits for them.
// Each costs 70 to 150 MB, so a thread starts when all others have work, and all end after a time without texts. One
// that dies fails only the texts it had, and the next text starts another.
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

/**
 * Starts the first of at most `count` threads and waits until its model is loaded. Throws what `start` throws.
 * `idleMs` after the last text all threads end; the next text starts one again (0.3 s).
 */
export async function openEngineThreads(
  start: StartThread,
  count: number,
  idleMs: number,
): Promise<EngineThreads> {
  const limit = pLimit(count * TEXTS_PER_THREAD);
  const slots: Slot[] = Array.from({ length: count }, () => ({ thread: null, texts: 0 }));
  let idle: NodeJS.Timeout | undefined;
  let runs = 0;
  await threadOf(leastBusy(slots));
  rest();

  function rest(): void {
    clearTimeout(idle);
    if (runs === 0) idle = setTimeout(() => void closeThreads(), idleMs).unref();
  }

  async function closeThreads(): Promise<void> {
    const threads = slots.map((slot) => slot.thread);
    for (const slot of slots) slot.thread = null;
    const started = await Promise.allSettled(threads);
    await Promise.all(
      started.map((thread) => (thread.status === "fulfilled" ? thread.value?.close() : null)),
    );
  }

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
      runs += 1;
      clearTimeout(idle);
      try {
        return await orAborted(inOrderOf(inputs, askInTurn), signal);
      } finally {
        runs -= 1;
        rest();
      }
    },
    async close() {
      clearTimeout(idle);
      await closeThreads();
    },
  };
}

function leastBusy(slots: readonly Slot[]): Slot {
  return slots.reduce((least, slot) => (slot.texts < least.texts ? slot : least));
}

/** The longest first, so that no thread is left with one when the others are done; answers as they were asked. */
async function inOrderOf(
  inputs: readonly EngineInput[],
  ask: (input: EngineInput) => Promise<Float32Array>,
): Promise<readonly Float32Array[]> {
  const places = inputs.map((_, place) => place);
  places.sort((one, other) => lengthOf(inputs[other]) - lengthOf(inputs[one]));
  const vectors: Float32Array[] = new Array(inputs.length);
  await Promise.all(
    places.map(async (place) => {
      const input = inputs[place];
      if (input !== undefined) vectors[place] = await ask(input);
    }),
  );
  return vectors;
}

const lengthOf = (input: EngineInput | undefined) => input?.ids.length ?? 0;
