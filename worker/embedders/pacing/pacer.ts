// Says when a request may leave for one provider: how many at once, how fast by the provider's limits and this
// replica's share of them, not before the time it named, and not at all while it is away.
import { Failure } from "../../failure/failure.ts";
import { Allowance } from "./allowance.ts";
import { Breaker, type BreakerState } from "./breaker.ts";
import { FoundRate } from "./found-rate.ts";
import type { RateReading } from "./rate-reading.ts";
import { openShareKeeper, type ShareKeeper } from "./share-keeper.ts";
import type { AskForShare, Share, ShareUse } from "./shared-share.ts";

export type PacingLimit = "none" | "requests" | "tokens" | "asked-to-wait" | "circuit";

/** What a provider's pacing looks like just now. */
export type PacingState = {
  readonly provider: string;
  readonly inFlight: number;
  /** Requests that may be in flight; moves between 1 and the configured number. */
  readonly allowed: number;
  /** What holds requests back, when more could be sent. */
  readonly limited: PacingLimit;
  readonly breaker: BreakerState;
  /** Until a request may leave, where that is a matter of time. */
  readonly waitMs: number;
  /** By this account, for all replicas; null when not known. */
  readonly requestsPerMinute: number | null;
  readonly tokensPerMinute: number | null;
  /** This replica's part of them, and how many share. */
  readonly share: number;
  readonly replicas: number;
};

export type Sent = {
  answered(tokens: number, reading: RateReading | null): void;
  failed(failure: Failure): void;
  /** It was ended by ourselves, and says nothing. */
  ended(): void;
};

export type Pacer = {
  /** Milliseconds until a request may leave; Infinity: not before one in flight has ended. */
  waitMs(): number;
  /** Over how many requests texts that wait should be spread. */
  lanes(): number;
  /** Takes a place; the returned function gives it back. */
  enter(): () => void;
  /** A request leaves, with about so many tokens. */
  sends(tokens: number): Sent;
  /** Why jobs should not be held (kind `waiting`, with the time); null while the wait is short. */
  blocked(): Failure | null;
  state(): PacingState;
  close(): Promise<void>;
};

export type PacerOptions = {
  readonly provider: string;
  /** Most requests in flight. */
  readonly concurrency: number;
  /** How replicas share the provider's limits; null: this one is alone. */
  readonly askForShare?: AskForShare | null;
  /** The circuit has opened (with the failure and for how long) or closed again. */
  readonly away?: (failure: Failure, forMs: number) => void;
  readonly back?: () => void;
};

/** A job is held for so long while its provider is not asked; above it, it goes back into the queue. */
export const HOLD_MS = 10_000;
// When a provider refuses and does not say for how long: doubled with each refusal in a row.
const WAIT = { firstMs: 250, mostMs: 60_000 };
const DECREASE = 0.5;

export function openPacer(options: PacerOptions): Pacer {
  return new ProviderPacer(options);
}

class ProviderPacer implements Pacer {
  readonly #options: PacerOptions;
  readonly #keeper: ShareKeeper;
  readonly #breaker = new Breaker();
  readonly #requests = new Allowance();
  readonly #tokens = new Allowance();
  readonly #found = new FoundRate();
  #inFlight = 0;
  #allowed: number;
  #blockedUntil = 0;
  /** Refusals in a row, those of requests that were under way together counted once. */
  #refusals = 0;
  #refusedAt = Number.NEGATIVE_INFINITY;
  #hungryAt = Number.NEGATIVE_INFINITY;
  #limited: PacingLimit = "none";
  /** For the share: what was used since the last asking. */
  #used = { requests: 0, tokens: 0, since: performance.now() };

  constructor(options: PacerOptions) {
    this.#options = options;
    this.#allowed = options.concurrency;
    this.#keeper = openShareKeeper(
      options.askForShare ?? null,
      () => this.#use(),
      (share) => this.#heard(share),
    );
  }

  waitMs(): number {
    const now = performance.now();
    const [waitMs, limited] = this.#waits(now);
    this.#limited = limited;
    if (limited === "requests" || limited === "tokens") {
      this.#hungryAt = now;
      this.#keeper.wanted();
    }
    if (waitMs > 0) return waitMs;
    const places = this.#breaker.state(now) === "half-open" ? 1 : Math.max(1, Math.floor(this.#allowed));
    return this.#inFlight < places ? 0 : Number.POSITIVE_INFINITY;
  }

  lanes(): number {
    // Where requests are what is short, each should carry as much as it can.
    const scarce = performance.now() - this.#hungryAt < 1_000 && this.#limited !== "tokens";
    return scarce ? 1 : Math.max(1, Math.floor(this.#allowed));
  }

  enter(): () => void {
    this.#inFlight += 1;
    return () => {
      this.#inFlight -= 1;
    };
  }

  sends(guess: number): Sent {
    const sentAt = performance.now();
    const share = this.#keeper.share();
    this.#requests.sent(1, share, sentAt);
    this.#tokens.sent(guess, share, sentAt);
    this.#found.sent(sentAt);
    const end = (requests: number, tokens: number) => {
      this.#requests.ended(1, requests);
      this.#tokens.ended(guess, tokens);
      this.#used.requests += requests;
      this.#used.tokens += tokens;
    };
    return {
      answered: (tokens, reading) => {
        end(1, tokens);
        this.#answered(reading);
      },
      failed: (failure) => {
        end(failure.code === "embed.rate-limited" ? 0 : 1, 0);
        this.#failed(failure, sentAt);
      },
      ended: () => end(1, guess),
    };
  }

  blocked(): Failure | null {
    const now = performance.now();
    const open = this.#breaker.waitMs(now);
    if (open > HOLD_MS) return new Failure("embed.circuit-open", { retryAfterMs: open });
    const asked = this.#blockedUntil - now;
    return asked > HOLD_MS ? new Failure("embed.rate-limited", { retryAfterMs: asked }) : null;
  }

  state(): PacingState {
    const now = performance.now();
    const [waitMs, limited] = this.#waits(now);
    return {
      provider: this.#options.provider,
      inFlight: this.#inFlight,
      allowed: Math.max(1, Math.floor(this.#allowed)),
      limited,
      breaker: this.#breaker.state(now),
      waitMs: Math.round(waitMs),
      requestsPerMinute: rounded(this.#requests.perMinute() ?? this.#found.perMinute(now)),
      tokensPerMinute: rounded(this.#tokens.perMinute()),
      share: this.#keeper.share(),
      replicas: this.#keeper.replicas(),
    };
  }

  close(): Promise<void> {
    return this.#keeper.close();
  }

  #waits(now: number): readonly [number, PacingLimit] {
    const share = this.#keeper.share();
    const waits: [number, PacingLimit][] = [
      [this.#breaker.waitMs(now), "circuit"],
      [this.#blockedUntil - now, "asked-to-wait"],
      [this.#requests.waitMs(share, now), "requests"],
      // What the provider says of itself is truer than what we find out.
      [this.#requests.known() ? 0 : this.#found.waitMs(now), "requests"],
      [this.#tokens.waitMs(share, now), "tokens"],
    ];
    return waits.reduce((longest, wait) => (wait[0] > longest[0] ? wait : longest), [0, "none"]);
  }

  #answered(reading: RateReading | null): void {
    const now = performance.now();
    this.#refusals = 0;
    this.#allowed = Math.min(this.#options.concurrency, this.#allowed + 1 / this.#allowed);
    if (reading?.requests) this.#requests.read(reading.requests, now);
    if (reading?.tokens) this.#tokens.read(reading.tokens, now);
    this.#found.accepted(now);
    if (this.#breaker.worked()) this.#options.back?.();
  }

  #failed(failure: Failure, sentAt: number): void {
    const now = performance.now();
    if (failure.code === "embed.rate-limited") {
      this.#refused(failure, sentAt, now);
      return;
    }
    if (failure.code === "embed.input-rejected") {
      // It is there and it answers.
      if (this.#breaker.worked()) this.#options.back?.();
      return;
    }
    if (failure.code !== "embed.unavailable" && failure.code !== "embed.bad-answer") return;
    if (sentAt > this.#refusedAt) this.#decrease(now);
    if (failure.retryAfterMs !== undefined) this.#block(failure.retryAfterMs, now);
    if (this.#breaker.failed(now)) this.#options.away?.(failure, this.#breaker.waitMs(now));
  }

  #refused(failure: Failure, sentAt: number, now: number): void {
    const isNews = sentAt > this.#refusedAt;
    if (isNews) {
      this.#refusals += 1;
      this.#decrease(now);
      this.#found.refused(now);
      this.#requests.spent(now);
      this.#hungryAt = now;
    }
    // In a row they are waited out longer each time, whatever the provider says; a little jitter for the others.
    const own = Math.min(WAIT.mostMs, WAIT.firstMs * 2 ** Math.min(this.#refusals - 1, 10));
    const told = failure.retryAfterMs ?? own;
    this.#block(Math.max(told, this.#refusals > 3 ? own : 0) * (1 + Math.random() / 10), now);
    this.#keeper.blocked();
  }

  #decrease(now: number): void {
    this.#allowed = Math.max(1, this.#allowed * DECREASE);
    this.#refusedAt = now;
  }

  #block(forMs: number, now: number): void {
    this.#blockedUntil = Math.max(this.#blockedUntil, now + forMs);
  }

  #use(): ShareUse {
    const now = performance.now();
    const { requests, tokens, since } = this.#used;
    const minutes = Math.max(now - since, 1) / 60_000;
    const part = (used: number, perMinute: number | null) => (perMinute ? used / minutes / perMinute : 0);
    this.#used = { requests: 0, tokens: 0, since: now };
    const used = Math.max(part(requests, this.#requests.perMinute()), part(tokens, this.#tokens.perMinute()));
    return {
      hungry: now - this.#hungryAt < 2_000,
      used: Math.min(1, used),
      blockedMs: Math.max(0, this.#blockedUntil - now),
    };
  }

  #heard({ blockedMs }: Share): void {
    // A short wait is over before it is heard of.
    if (blockedMs > 0) this.#block(blockedMs, performance.now());
  }
}

const rounded = (value: number | null) => (value === null ? null : Math.round(value * 10) / 10);
