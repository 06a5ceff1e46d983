// The circuit to one provider. closed: requests go. open: the last ones failed one after the other, and none goes
// for a while. half-open: one request goes and decides. Refusals of a rate limit do not count, nor do bad texts.
// Source: Michael Nygard, "Release It!", 2nd edition, "Circuit Breaker".
import { backoffMs } from "../../timing/backoff.ts";

export type BreakerState = "closed" | "open" | "half-open";

const FAILURES = 3;
const OPEN = { firstMs: 5_000, mostMs: 60_000 };

export class Breaker {
  #failures = 0;
  #opened = 0;
  #openUntil: number | null = null;

  state(now: number): BreakerState {
    if (this.#openUntil === null) return "closed";
    return now < this.#openUntil ? "open" : "half-open";
  }

  /** Milliseconds until a request may try. */
  waitMs(now: number): number {
    return this.#openUntil === null ? 0 : Math.max(0, this.#openUntil - now);
  }

  /** True when this closes it. */
  worked(): boolean {
    const closes = this.#openUntil !== null;
    this.#failures = 0;
    this.#opened = 0;
    this.#openUntil = null;
    return closes;
  }

  /** True when this opens it. */
  failed(now: number): boolean {
    this.#failures += 1;
    const state = this.state(now);
    // What was under way when it opened says nothing new.
    if (state === "open" || (state === "closed" && this.#failures < FAILURES)) return false;
    this.#opened += 1;
    this.#openUntil = now + Math.max(OPEN.firstMs / 2, backoffMs(this.#opened, OPEN));
    return true;
  }
}
