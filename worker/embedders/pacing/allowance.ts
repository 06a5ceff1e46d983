// How fast one of a provider's limits (requests, or tokens) may be used by this replica. The provider says with
// each answer how much is left for all of us; we use what comes in anew, and what is left above a small reserve
// over the next seconds: faster while there is plenty, slower when somebody else used more than we thought.
import type { Window } from "./rate-reading.ts";

// What is left is used up over so long: long enough that answers on their way do not matter, short enough that
// a limit that was raised is used at once.
const HORIZON_MS = 5_000;
// Kept back, or others' requests on their way would meet an empty limit: one part in fifty of it, and one request
// for each replica and one more.
const RESERVED = 0.02;
const MINUTE_MS = 60_000;
// As much as may leave at once after a pause.
const BURST_MS = 250;
const SLOWEST = 0.05;

export class Allowance {
  #window: Window | null = null;
  #readAt = 0;
  /** The longest that this limit ever took to be whole again. */
  #longestMs = 0;
  #level = 0;
  #levelAt = 0;
  /** Used by requests that are under way: the provider may not have counted them. */
  #underWay = 0;
  /** What a large request of these days uses. */
  #typical = 0;

  known(): boolean {
    return this.#window !== null;
  }

  read(window: Window, now: number): void {
    if (this.#window === null) this.#levelAt = now;
    this.#longestMs = Math.max(this.#window?.limit === window.limit ? this.#longestMs : 0, window.resetMs);
    this.#window = window;
    this.#readAt = now;
  }

  /** The provider refused: whatever it said before, nothing is left. */
  spent(now: number): void {
    if (this.#window === null) return;
    this.#window = { ...this.#window, remaining: 0 };
    this.#readAt = now;
    this.#level = Math.min(this.#level, 0);
  }

  sent(amount: number, share: number, now: number): void {
    this.#refill(share, now);
    this.#typical = Math.max(amount, this.#typical * 0.95);
    this.#level -= amount;
    this.#underWay += amount;
  }

  /** A request has ended that was thought to use `guess` and used `amount`. */
  ended(guess: number, amount: number): void {
    this.#underWay = Math.max(0, this.#underWay - guess);
    this.#level += guess - amount;
  }

  /** Milliseconds until something may be used. */
  waitMs(share: number, now: number): number {
    if (this.#window === null) return 0;
    this.#refill(share, now);
    return this.#level >= 0 ? 0 : -this.#level / this.#perMs(share, now);
  }

  /** What flows in for all replicas in a minute; null when the provider never said. */
  perMinute(): number | null {
    return this.#window === null ? null : this.#refillPerMs(this.#window) * MINUTE_MS;
  }

  #refill(share: number, now: number): void {
    if (this.#window === null) return;
    const perMs = this.#perMs(share, now);
    const most = Math.max(perMs * BURST_MS, this.#typical / 2);
    this.#level = Math.min(most, this.#level + perMs * (now - this.#levelAt));
    this.#levelAt = now;
  }

  #perMs(share: number, now: number): number {
    const window = this.#window;
    if (window === null) return Number.POSITIVE_INFINITY;
    const refill = this.#refillPerMs(window);
    const left = Math.min(window.limit, window.remaining + refill * (now - this.#readAt)) - this.#underWay;
    const wanted = Math.max(RESERVED * window.limit, (1 + 1 / share) * this.#typical);
    const reserve = Math.min(wanted, window.limit / 2);
    return share * Math.max(SLOWEST * refill, refill + (left - reserve) / HORIZON_MS);
  }

  /**
   * What comes in anew. A limit that fills up steadily says when it will be whole: the rate is what is used over that
   * time. One that begins afresh with each window comes to its size over the longest time that it named, and near
   * the end of a window the first rule alone would promise far too much. What says nothing of time is per minute.
   */
  #refillPerMs({ limit, remaining, resetMs }: Window): number {
    const used = limit - remaining;
    if (this.#longestMs === 0) return limit / MINUTE_MS;
    const perWindow = limit / this.#longestMs;
    return used > 0 && resetMs > 0
      ? Math.min(perWindow, used / resetMs)
      : Math.min(perWindow, limit / MINUTE_MS);
  }
}
