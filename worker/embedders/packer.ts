// Texts that wait for a request, of all jobs, in the order they came. A request leaves when it is full, or when
// its oldest text has waited as long as is worth waiting for company.
import { mostTokens } from "./check-texts.ts";
import type { EmbedCall } from "./embed-call.ts";
import type { EmbedderLimits } from "./embedder.ts";

export type PackedText = { readonly text: string; readonly call: EmbedCall };
type Waiting = PackedText & { readonly since: number; readonly size: number };

// A tenth of a round trip, within bounds: waiting longer costs more than an emptier request does.
const PATIENCE_SHARE = 0.1;
const PATIENCE_MS = { first: 5, least: 2, most: 50 };

export class Packer {
  readonly #mostItems: number;
  readonly #limits: EmbedderLimits;
  readonly #due: () => void;
  #waiting: Waiting[] = [];
  #timer: NodeJS.Timeout | null = null;
  #patienceMs = PATIENCE_MS.first;

  /** `due` is called when texts have waited long enough. */
  constructor(batch: number, limits: EmbedderLimits, due: () => void) {
    this.#mostItems = Math.min(batch, limits.maxItems);
    this.#limits = limits;
    this.#due = due;
  }

  add(texts: readonly PackedText[]): void {
    const since = performance.now();
    for (const packed of texts) {
      // The upper bound wastes some room and saves counting every text a second time.
      const size = Math.min(mostTokens(packed.text), this.#limits.maxTokensPerInput);
      this.#waiting.push({ ...packed, since, size });
    }
  }

  /** The next request, full or due; empty when it is worth waiting, and then `due` is called in time. */
  take(): readonly PackedText[] {
    const { count, full } = this.#reach();
    const oldest = this.#waiting[0];
    if (oldest === undefined) return [];
    const waitMs = oldest.since + this.#patienceMs - performance.now();
    if (!full && waitMs > 0) {
      if (this.#timer === null) this.#timer = setTimeout(() => this.#ring(), Math.ceil(waitMs));
      return [];
    }
    return this.#waiting.splice(0, count);
  }

  #ring(): void {
    this.#timer = null;
    this.#due();
  }

  /** Drops what a call that is over still had waiting. */
  forget(call: EmbedCall): void {
    this.#waiting = this.#waiting.filter((waiting) => waiting.call !== call);
  }

  /** How long a request took, so that patience fits the provider. */
  learn(requestMs: number): void {
    const wanted = Math.min(PATIENCE_MS.most, Math.max(PATIENCE_MS.least, requestMs * PATIENCE_SHARE));
    this.#patienceMs += (wanted - this.#patienceMs) / 4;
  }

  /** How many of the waiting texts fit into one request, and whether nothing more would. */
  #reach(): { readonly count: number; readonly full: boolean } {
    let tokens = 0;
    let count = 0;
    const distinct = new Set<string>();
    for (const { text, size } of this.#waiting) {
      if (!distinct.has(text)) {
        if (distinct.size >= this.#mostItems) return { count, full: true };
        if (count > 0 && tokens + size > this.#limits.maxTokensPerRequest) return { count, full: true };
        distinct.add(text);
        tokens += size;
      }
      count += 1;
    }
    return { count, full: distinct.size >= this.#mostItems };
  }
}
