// Texts that wait for a request, of all jobs, dealt out in turns: each job gives one text after the other's, so
// that a long document does not keep a short one waiting. Equal texts are one, wherever they come from and also
// while they are under way. A request leaves when it is full, or when its oldest text has waited as long as is
// worth waiting for company.
import { mostTokens } from "./check-texts.ts";
import type { EmbedCall } from "./embed-call.ts";
import type { EmbedderLimits } from "./embedder.ts";

/** One text, and everybody who waits for its vector. */
export type WantedText = {
  readonly text: string;
  readonly wanters: Set<EmbedCall>;
  readonly since: number;
  /** No more tokens than this. */
  readonly size: number;
  readonly bytes: number;
  state: "waiting" | "under way" | "over";
  /** Called when nobody wants it any more while it is under way. */
  unwanted: () => void;
};

/** `waiting` in order of arrival; some may have left with another job's turn since. */
type Turn = { readonly job: AbortSignal; waiting: WantedText[]; next: number };

export type PackerSizes = {
  /** Texts that are worth a request at once. */
  readonly batch: number;
  /** Texts in one request when more of them wait. */
  readonly most: number;
};

// A tenth of a round trip, within bounds: waiting longer costs more than an emptier request does. While others are
// under way a whole one: the provider is not idle, and who waits had their answers to wait for anyway.
const PATIENCE_SHARE = { alone: 0.1, beside: 1 };
const PATIENCE_MS = { first: 50, least: 2, most: 50 };
// A body that every proxy takes: nginx refuses more than 1 MiB unless told otherwise, and JSON escapes some.
const MOST_BYTES = 900_000;

export class Packer {
  readonly #sizes: PackerSizes;
  readonly #limits: EmbedderLimits;
  readonly #due: () => void;
  readonly #texts = new Map<string, WantedText>();
  #turns: Turn[] = [];
  #turn = 0;
  #count = 0;
  #tokens = 0;
  #timer: { readonly at: number; readonly handle: NodeJS.Timeout } | null = null;
  #requestMs = PATIENCE_MS.first;

  /** `due` is called when texts have waited long enough. */
  constructor(sizes: PackerSizes, limits: EmbedderLimits, due: () => void) {
    const batch = Math.min(sizes.batch, limits.maxItems);
    this.#sizes = { batch, most: Math.min(Math.max(sizes.most, batch), limits.maxItems) };
    this.#limits = limits;
    this.#due = due;
  }

  add(call: EmbedCall): void {
    const since = performance.now();
    for (const text of call.missing()) {
      const known = this.#texts.get(text);
      const wanted = known ?? this.#newText(text, since);
      wanted.wanters.add(call);
      // Also where another job's turn holds it already: whichever comes first takes it along.
      if (wanted.state === "waiting") this.#turnOf(call).waiting.push(wanted);
    }
  }

  /**
   * The next request, full or due; empty when it is worth waiting, and then `due` is called in time. `lanes`: how
   * many requests those that wait may be spread over. `underWay`: how many are with the provider now.
   */
  take(lanes: number, underWay: number): readonly WantedText[] {
    if (this.#count === 0) return [];
    const full = this.#count >= this.#sizes.batch || this.#tokens >= this.#limits.maxTokensPerRequest;
    const waitMs = full ? 0 : this.#oldest() + this.#patienceMs(underWay) - performance.now();
    if (waitMs > 0) {
      this.#ringIn(waitMs);
      return [];
    }
    return this.#deal(
      Math.min(this.#sizes.most, Math.max(this.#sizes.batch, Math.ceil(this.#count / lanes))),
    );
  }

  /**
   * A request is over. Those of its texts that have no end yet are the first of the next; those that nobody wants
   * are forgotten, for whoever asked for one that is never sent again would wait for ever.
   */
  putBack(request: readonly WantedText[]): void {
    for (const wanted of request.toReversed()) {
      if (wanted.state !== "under way") continue;
      const [call] = wanted.wanters;
      this.#becomes(wanted, call === undefined ? "over" : "waiting");
      if (call === undefined) continue;
      const turn = this.#turnOf(call);
      turn.waiting = [wanted, ...turn.waiting.slice(turn.next)];
      turn.next = 0;
    }
  }

  /** Whoever asks for the text from now on pays for it again. */
  settle(wanted: WantedText): void {
    this.#becomes(wanted, "over");
  }

  /** Drops what only this call still wanted. */
  forget(call: EmbedCall): void {
    for (const text of call.asked) {
      const wanted = this.#texts.get(text);
      if (wanted?.wanters.delete(call) !== true || wanted.wanters.size > 0) continue;
      if (wanted.state === "waiting") this.#becomes(wanted, "over");
      else wanted.unwanted();
    }
  }

  isWaiting(): boolean {
    return this.#count > 0;
  }

  /** Everybody who waits for a text that has not left yet. */
  waiting(): ReadonlySet<EmbedCall> {
    const calls = new Set<EmbedCall>();
    for (const { state, wanters } of this.#texts.values())
      if (state === "waiting") for (const call of wanters) calls.add(call);
    return calls;
  }

  /** How long a request took, so that patience fits the provider. */
  learn(requestMs: number): void {
    this.#requestMs += (requestMs - this.#requestMs) / 4;
  }

  #patienceMs(underWay: number): number {
    const wanted = this.#requestMs * (underWay > 0 ? PATIENCE_SHARE.beside : PATIENCE_SHARE.alone);
    return Math.min(PATIENCE_MS.most, Math.max(PATIENCE_MS.least, wanted));
  }

  #newText(text: string, since: number): WantedText {
    const bytes = mostTokens(text);
    // The upper bound wastes some room and saves counting every text a second time.
    const size = Math.min(bytes, this.#limits.maxTokensPerInput);
    const state = "under way";
    const wanted: WantedText = { text, wanters: new Set(), since, size, bytes, state, unwanted: () => {} };
    this.#becomes(wanted, "waiting");
    return wanted;
  }

  #becomes(wanted: WantedText, state: WantedText["state"]): void {
    const sign = Number(state === "waiting") - Number(wanted.state === "waiting");
    this.#count += sign;
    this.#tokens += sign * wanted.size;
    wanted.state = state;
    if (state !== "over") this.#texts.set(wanted.text, wanted);
    else if (this.#texts.get(wanted.text) === wanted) this.#texts.delete(wanted.text);
  }

  #turnOf(call: EmbedCall): Turn {
    const known = this.#turns.find((turn) => turn.job === call.job);
    if (known !== undefined) return known;
    const turn = { job: call.job, waiting: [], next: 0 };
    this.#turns.push(turn);
    return turn;
  }

  #oldest(): number {
    return Math.min(...this.#turns.map((turn) => first(turn)?.since ?? Number.POSITIVE_INFINITY));
  }

  #deal(most: number): readonly WantedText[] {
    const request: WantedText[] = [];
    let tokens = 0;
    let bytes = 0;
    while (request.length < most && this.#turns.length > 0) {
      this.#turn %= this.#turns.length;
      const turn = this.#turns[this.#turn];
      const wanted = turn === undefined ? undefined : first(turn);
      if (wanted === undefined) {
        this.#turns.splice(this.#turn, 1);
        continue;
      }
      tokens += wanted.size;
      bytes += wanted.bytes;
      if (request.length > 0 && (tokens > this.#limits.maxTokensPerRequest || bytes > MOST_BYTES)) break;
      this.#becomes(wanted, "under way");
      request.push(wanted);
      this.#turn += 1;
    }
    return request;
  }

  /** Once, and as early as anybody asked. */
  #ringIn(waitMs: number): void {
    const at = performance.now() + waitMs;
    if (this.#timer !== null && this.#timer.at <= at) return;
    if (this.#timer !== null) clearTimeout(this.#timer.handle);
    const ring = () => {
      this.#timer = null;
      this.#due();
    };
    this.#timer = { at, handle: setTimeout(ring, Math.ceil(waitMs)) };
  }
}

/** The first text that still waits in this turn. */
function first(turn: Turn): WantedText | undefined {
  while (turn.next < turn.waiting.length && turn.waiting[turn.next]?.state !== "waiting") turn.next += 1;
  if (turn.next > 1024) turn.waiting = turn.waiting.slice(turn.next);
  if (turn.next > 1024) turn.next = 0;
  return turn.waiting[turn.next];
}
