// Sends the texts of all jobs in requests that a provider accepts, a bounded number at a time for the whole
// process. Texts of many documents share a request: one document at a time would leave most of it empty.
// One bad text costs only itself: its request is halved until it stands alone. Never on 429 or a bad key,
// where each half would fail as well and make it worse.
import { setImmediate as nextTurn } from "node:timers/promises";
import { Failure } from "../failure/failure.ts";
import { EmbedCall, RejectedText } from "./embed-call.ts";
import type { Embedder } from "./embedder.ts";
import { type PackedText, Packer } from "./packer.ts";
import { SalvagedVectors } from "./salvaged-vectors.ts";

export type BatcherOptions = {
  /** Most texts in one request; the provider's own limit may be lower. */
  readonly batch: number;
  /** Requests in flight, over all calls. */
  readonly concurrency: number;
};

export type Batcher = {
  /**
   * Vectors for any number of texts, in their order; equal texts are sent once. Throws the first Failure, with
   * the fact `input` (index in `texts`) where one text is at fault, or the signal's reason as soon as it fires.
   * A request that no call waits for any more is ended.
   */
  embed(texts: readonly string[], signal: AbortSignal): Promise<Embedded>;
  /** Refuses new calls and waits for those that run. Does not close the embedder. Safe to call twice. */
  close(): Promise<void>;
};

/** `tokens`: this call's share of what its requests cost. */
export type Embedded = { readonly vectors: readonly Float32Array[]; readonly tokens: number };

type Parts = { readonly embedder: Embedder; readonly packer: Packer; readonly salvaged: SalvagedVectors };

/** Opens the batching step that all jobs of a process share. */
export function openBatcher(embedder: Embedder, options: BatcherOptions): Batcher {
  const packer = new Packer(options.batch, embedder.limits, () => pump());
  const salvaged = new SalvagedVectors();
  const running = new Set<Promise<unknown>>();
  const parts = { embedder, packer, salvaged };
  let inFlight = 0;
  let closed = false;

  function pump(): void {
    while (inFlight < options.concurrency) {
      const request = packer.take();
      if (request.length === 0) return;
      inFlight += 1;
      const free = once(() => {
        inFlight -= 1;
        pump();
      });
      track(send(parts, request, free).finally(free));
    }
  }

  function track(work: Promise<unknown>): void {
    const over: Promise<unknown> = work.then(
      () => running.delete(over),
      () => running.delete(over),
    );
    running.add(over);
  }

  return {
    async embed(texts, signal) {
      signal.throwIfAborted();
      if (closed) throw new Failure("worker.stopping");
      const call = new EmbedCall(texts, salvaged.take(texts), signal);
      packer.add(call.missing().map((text) => ({ text, call })));
      pump();
      const ended = call.ended.catch((thrown: unknown) => {
        packer.forget(call);
        salvaged.keep(call.vectors);
        throw thrown;
      });
      track(ended);
      return await ended;
    },
    async close() {
      closed = true;
      while (running.size > 0) await Promise.all(running);
    },
  };
}

function once(act: () => void): () => void {
  let done = false;
  return () => {
    if (done) return;
    done = true;
    act();
  };
}

/**
 * One request for the texts of one or more calls. Never throws: each call learns its own end. `free` is called as
 * soon as the provider has answered: the next request leaves before anybody works on this one's vectors.
 */
async function send(parts: Parts, request: readonly PackedText[], free: () => void): Promise<void> {
  const calls = new Set(request.map((packed) => packed.call));
  const abort = new AbortController();
  // The request goes on while anybody waits for it.
  const oneLess = () => {
    if ([...calls].every((call) => call.over)) abort.abort(new Failure("worker.stopping"));
  };
  for (const call of calls) call.onEnd(oneLess);
  const startedAt = performance.now();
  const answered = () => {
    parts.packer.learn(performance.now() - startedAt);
    free();
  };
  try {
    await sendOrHalve(parts, request, abort.signal, answered);
  } catch (thrown) {
    for (const call of calls) call.fail(thrown);
  }
}

/** Halving a request of n texts takes at most about 2 log2(n) requests to find one bad text. */
async function sendOrHalve(
  parts: Parts,
  request: readonly PackedText[],
  signal: AbortSignal,
  answered: () => void,
): Promise<void> {
  const wanted = request.filter((packed) => !packed.call.over);
  const texts = [...new Set(wanted.map((packed) => packed.text))];
  if (texts.length === 0) return;
  try {
    const { vectors, tokens } = await parts.embedder.embed(texts, signal, answered);
    answered();
    // Whoever receives a vector writes it down at once: milliseconds in which the next request would not leave.
    await nextTurn();
    const perText = tokens / texts.length;
    const byText = new Map(texts.map((text, at) => [text, vectors[at]]));
    const paid = new Set<string>();
    for (const { text, call } of wanted) {
      const vector = byText.get(text);
      if (vector === undefined) continue;
      if (call.over) parts.salvaged.keep(new Map([[text, vector]]));
      else call.receive(text, vector, paid.has(text) ? 0 : perText);
      paid.add(text);
    }
  } catch (thrown) {
    if (!(thrown instanceof Failure) || thrown.code !== "embed.input-rejected") throw thrown;
    const known = texts.length === 1 ? 0 : thrown.facts.input;
    if (typeof known === "number") {
      const bad = texts[known] ?? "";
      for (const { text, call } of wanted) if (text === bad) call.fail(new RejectedText(bad, thrown));
      const others = wanted.filter((packed) => packed.text !== bad);
      if (others.length > 0) await sendOrHalve(parts, others, signal, stillBusy);
      return;
    }
    const firstHalf = new Set(texts.slice(0, Math.ceil(texts.length / 2)));
    for (const inFirst of [true, false]) {
      const half = wanted.filter((packed) => firstHalf.has(packed.text) === inFirst);
      await sendOrHalve(parts, half, signal, stillBusy);
    }
  }
}

/** The other half follows in the same place. */
const stillBusy = () => {};
