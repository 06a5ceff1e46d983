// One call of one job: what it asked for, what it has received, and how it ends. Ends once.
import { Failure } from "../failure/failure.ts";
import { emptyInput } from "./check-texts.ts";

export class EmbedCall {
  readonly vectors: Map<string, Float32Array>;
  /** Resolves with the vectors in the order of the texts, or rejects with the call's own failure. */
  readonly ended: Promise<{ readonly vectors: readonly Float32Array[]; readonly tokens: number }>;
  over = false;
  readonly #texts: readonly string[];
  readonly #missing: Set<string>;
  readonly #enders = new Set<() => void>();
  #tokens = 0;
  #resolve: () => void = () => {};
  #reject: (thrown: unknown) => void = () => {};

  /** `known`: vectors that need not be asked for. */
  constructor(texts: readonly string[], known: Map<string, Float32Array>, signal: AbortSignal) {
    this.#texts = texts;
    this.vectors = known;
    this.#missing = new Set(texts.filter((text) => !known.has(text)));
    this.ended = new Promise((resolve, reject) => {
      this.#resolve = () => resolve({ vectors: this.#inOrder(), tokens: Math.round(this.#tokens) });
      this.#reject = reject;
    });
    const aborted = () => this.fail(signal.reason);
    signal.addEventListener("abort", aborted, { once: true });
    this.onEnd(() => signal.removeEventListener("abort", aborted));
    const empty = texts.findIndex((text) => text.trim() === "");
    if (empty >= 0) this.fail(new RejectedText(texts[empty] ?? "", emptyInput(empty)));
    if (this.#missing.size === 0) this.#end(this.#resolve);
  }

  /** Distinct texts still to be sent. */
  missing(): readonly string[] {
    return this.over ? [] : [...this.#missing];
  }

  receive(text: string, vector: Float32Array, tokens: number): void {
    this.#tokens += tokens;
    this.vectors.set(text, vector);
    this.#missing.delete(text);
    if (this.#missing.size === 0) this.#end(this.#resolve);
  }

  fail(thrown: unknown): void {
    this.#end(() => this.#reject(thrown instanceof RejectedText ? thrown.asFailure(this.#texts) : thrown));
  }

  onEnd(ender: () => void): void {
    if (this.over) ender();
    else this.#enders.add(ender);
  }

  #end(how: () => void): void {
    if (this.over) return;
    this.over = true;
    how();
    for (const ender of this.#enders) ender();
  }

  #inOrder(): readonly Float32Array[] {
    return this.#texts.map((text) => {
      const vector = this.vectors.get(text);
      if (vector === undefined) throw new Failure("embed.bad-answer", { facts: { wrong: "count" } });
      return vector;
    });
  }
}

/** Carries a refused text to where its index is known; never leaves this room. */
export class RejectedText {
  readonly #text: string;
  readonly #failure: Failure;

  constructor(text: string, failure: Failure) {
    this.#text = text;
    this.#failure = failure;
  }

  asFailure(texts: readonly string[]): Failure {
    const { code, message, facts } = this.#failure;
    return new Failure(code, { says: message, facts: { ...facts, input: texts.indexOf(this.#text) } });
  }
}
