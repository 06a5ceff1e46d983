// One call of one job: what it asked for, what it has received, and how it ends. Ends once.
import { Failure } from "../failure/failure.ts";
import { emptyInput } from "./check-texts.ts";

export type CallEnd = {
  /** In the order of the texts; null for one that was refused. */
  readonly vectors: readonly (Float32Array | null)[];
  /** By index. */
  readonly rejected: ReadonlyMap<number, Failure>;
  readonly tokens: number;
};

/** A request that carried texts of a call, and how it ended; `code` is empty when it went well. */
export type RequestEnd = {
  /** Of this call, and all that the request carried. */
  readonly texts: number;
  readonly textsInRequest: number;
  readonly tokensInRequest: number;
  readonly elapsedMs: number;
  readonly code: string;
};

export class EmbedCall {
  /** Calls with one signal are one job's: they take turns as one. */
  readonly job: AbortSignal;
  /** Distinct texts that had no vector. */
  readonly asked: ReadonlySet<string>;
  readonly vectors: Map<string, Float32Array>;
  readonly ended: Promise<CallEnd>;
  readonly hear: (request: RequestEnd) => void;
  over = false;
  readonly #texts: readonly string[];
  readonly #missing: Set<string>;
  readonly #rejected = new Map<string, Failure>();
  readonly #strict: boolean;
  #stopListening = () => {};
  #tokens = 0;
  #resolve: () => void = () => {};
  #reject: (thrown: unknown) => void = () => {};

  /** `known`: vectors that need not be asked for. `strict`: the first refused text ends the call. */
  constructor(
    texts: readonly string[],
    known: Map<string, Float32Array>,
    job: AbortSignal,
    strict: boolean,
    hear: (request: RequestEnd) => void = () => {},
  ) {
    this.hear = hear;
    this.#texts = texts;
    this.#strict = strict;
    this.job = job;
    this.vectors = known;
    this.#missing = new Set(texts.filter((text) => !known.has(text)));
    this.asked = new Set(this.#missing);
    this.ended = new Promise((resolve, reject) => {
      this.#resolve = () => resolve(this.#end());
      this.#reject = reject;
    });
    const aborted = () => this.fail(job.reason);
    job.addEventListener("abort", aborted, { once: true });
    this.#stopListening = () => job.removeEventListener("abort", aborted);
    for (const text of this.asked) if (text.trim() === "") this.refuse(text, emptyInput(texts.indexOf(text)));
    if (this.#missing.size === 0) this.#finish(this.#resolve);
  }

  /** Distinct texts still to be sent. */
  missing(): readonly string[] {
    return this.over ? [] : [...this.#missing];
  }

  receive(text: string, vector: Float32Array, tokens: number): void {
    this.#tokens += tokens;
    this.vectors.set(text, vector);
    this.#has(text);
  }

  /** The text is at fault, by `failure`. */
  refuse(text: string, failure: Failure): void {
    const input = this.#texts.indexOf(text);
    const { code, message, facts } = failure;
    const own = new Failure(code, { says: message, facts: { ...facts, input } });
    if (this.#strict) this.fail(own);
    this.#rejected.set(text, own);
    this.#has(text);
  }

  fail(thrown: unknown): void {
    this.#finish(() => this.#reject(thrown));
  }

  #has(text: string): void {
    this.#missing.delete(text);
    if (this.#missing.size === 0) this.#finish(this.#resolve);
  }

  #finish(how: () => void): void {
    if (this.over) return;
    this.over = true;
    this.#stopListening();
    how();
  }

  #end(): CallEnd {
    const rejected = new Map<number, Failure>();
    for (const [input, text] of this.#texts.entries()) {
      const failure = this.#rejected.get(text);
      if (failure !== undefined) rejected.set(input, failure);
    }
    const vectors = this.#texts.map((text) => this.vectors.get(text) ?? null);
    return { vectors, rejected, tokens: Math.round(this.#tokens) };
  }
}
