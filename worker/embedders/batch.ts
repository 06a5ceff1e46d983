// Sends many texts in requests that a provider accepts, a bounded number at a time for the whole process.
// One bad text costs only itself: its request is halved until it stands alone. Never on 429 or a bad key,
// where each half would fail as well and make it worse.
import pLimit from "p-limit";
import { Failure } from "../failure/failure.ts";
import { mostTokens } from "./check-texts.ts";
import type { Embedder, EmbedderLimits, Embeddings } from "./embedder.ts";

export type BatcherOptions = {
  /** Most texts in one request; the provider's own limit may be lower. */
  readonly batch: number;
  /** Requests in flight, over all calls. */
  readonly concurrency: number;
};

export type Batcher = {
  /**
   * Vectors for any number of texts, in their order; equal texts are sent once. Throws the first Failure, with
   * the fact `input` (index in `texts`) where one text is at fault, or the signal's reason when aborted. It
   * returns or throws only when none of its requests is in flight any more.
   */
  embed(texts: readonly string[], signal: AbortSignal): Promise<Embeddings>;
  /** Refuses new calls and waits for those that run. Does not close the embedder. Safe to call twice. */
  close(): Promise<void>;
};

// Vectors that a failed call paid for, kept so that its retry in this process does not pay again. 1,024 of
// 1,536 dimensions with their texts are about 8 MB.
const MOST_SALVAGED = 1024;

type Call = {
  readonly signal: AbortSignal;
  readonly vectors: Map<string, Float32Array>;
  tokens: number;
  failure: { readonly thrown: unknown } | null;
};

/** Opens the batching step that all jobs of a process share. */
export function openBatcher(embedder: Embedder, options: BatcherOptions): Batcher {
  const limit = pLimit(options.concurrency);
  const salvaged = new Map<string, Float32Array>();
  const running = new Set<Promise<unknown>>();
  let closed = false;

  async function embed(texts: readonly string[], signal: AbortSignal): Promise<Embeddings> {
    signal.throwIfAborted();
    if (closed) throw new Failure("worker.stopping");
    const call: Call = { signal, vectors: takeSalvaged(salvaged, texts), tokens: 0, failure: null };
    const missing = [...new Set(texts)].filter((text) => !call.vectors.has(text));
    const requests = splitIntoRequests(missing, options.batch, embedder.limits);
    await Promise.all(requests.map((request) => limit(() => sendUnlessFailed(embedder, request, call))));
    if (call.failure !== null) {
      salvage(salvaged, call.vectors);
      throw namingInput(call.failure.thrown, texts);
    }
    return { vectors: texts.map((text) => vectorOf(call, text)), tokens: call.tokens };
  }

  return {
    async embed(texts, signal) {
      const call = embed(texts, signal);
      running.add(call);
      try {
        return await call;
      } finally {
        running.delete(call);
      }
    },
    async close() {
      closed = true;
      await Promise.allSettled(running);
    },
  };
}

/** Requests of at most `batch` texts and of no more tokens than the provider takes in one. */
export function splitIntoRequests(
  texts: readonly string[],
  batch: number,
  limits: EmbedderLimits,
): readonly (readonly string[])[] {
  const mostItems = Math.min(batch, limits.maxItems);
  const requests: string[][] = [];
  let tokens = 0;
  for (const text of texts) {
    // The upper bound wastes some room and saves counting every text a second time.
    const size = Math.min(mostTokens(text), limits.maxTokensPerInput);
    const last = requests.at(-1);
    if (last === undefined || last.length >= mostItems || tokens + size > limits.maxTokensPerRequest) {
      requests.push([text]);
      tokens = size;
    } else {
      last.push(text);
      tokens += size;
    }
  }
  return requests;
}

// Never throws, so that Promise.all waits for every request of the call.
async function sendUnlessFailed(embedder: Embedder, texts: readonly string[], call: Call): Promise<void> {
  if (call.failure !== null) return;
  try {
    call.signal.throwIfAborted();
    await sendOrHalve(embedder, texts, call);
  } catch (thrown) {
    call.failure ??= { thrown };
  }
}

/** Halving a request of n texts takes at most about 2 log2(n) requests to find one bad text. */
async function sendOrHalve(embedder: Embedder, texts: readonly string[], call: Call): Promise<void> {
  try {
    const { vectors, tokens } = await embedder.embed(texts, call.signal);
    for (const [at, text] of texts.entries()) {
      const vector = vectors[at];
      if (vector !== undefined) call.vectors.set(text, vector);
    }
    call.tokens += tokens;
  } catch (thrown) {
    if (!(thrown instanceof Failure) || thrown.code !== "embed.input-rejected") throw thrown;
    const known = texts.length === 1 ? 0 : thrown.facts.input;
    if (typeof known === "number") throw new RejectedText(texts[known] ?? "", thrown);
    const middle = Math.ceil(texts.length / 2);
    await sendOrHalve(embedder, texts.slice(0, middle), call);
    await sendOrHalve(embedder, texts.slice(middle), call);
  }
}

/** Carries the text itself to where its index is known; never leaves this file. */
class RejectedText extends Error {
  readonly text: string;
  readonly failure: Failure;

  constructor(text: string, failure: Failure) {
    super("rejected text");
    this.text = text;
    this.failure = failure;
  }
}

function namingInput(thrown: unknown, texts: readonly string[]): unknown {
  if (!(thrown instanceof RejectedText)) return thrown;
  const { failure } = thrown;
  const input = texts.indexOf(thrown.text);
  return new Failure(failure.code, { says: failure.message, facts: { ...failure.facts, input } });
}

function vectorOf(call: Call, text: string): Float32Array {
  const vector = call.vectors.get(text);
  if (vector === undefined) throw new Failure("embed.bad-answer", { facts: { wrong: "count" } });
  return vector;
}

function takeSalvaged(salvaged: Map<string, Float32Array>, texts: readonly string[]) {
  const taken = new Map<string, Float32Array>();
  if (salvaged.size === 0) return taken;
  for (const text of texts) {
    const vector = salvaged.get(text);
    if (vector !== undefined) taken.set(text, vector);
    salvaged.delete(text);
  }
  return taken;
}

function salvage(salvaged: Map<string, Float32Array>, vectors: ReadonlyMap<string, Float32Array>): void {
  for (const [text, vector] of vectors) salvaged.set(text, vector);
  // Oldest first, for a Map keeps the order of insertion.
  for (const text of salvaged.keys()) {
    if (salvaged.size <= MOST_SALVAGED) return;
    salvaged.delete(text);
  }
}
