// The rate at which a provider that says nothing of its limits takes requests, found by trying. The first refusal
// comes of a burst and tells little: from there it doubles until the next. Then it is cut by a share at each refusal
// and raised along a cubic curve, slowly around the rate that was refused and faster far from it.
// Source: CUBIC, RFC 9438, section 4.1, with requests a second in place of a window.

const CUT = 0.05;
// One refusal soon after another: the first estimate was too high by more.
const SOON = { ms: 4_000, cut: 0.25 };
// Back at the refused rate after so long.
const RETURN_MS = 12_000;
const MEASURED_MS = 4_000;
const LEAST_MEASURED_MS = 250;
const DOUBLED_AFTER_MS = 2_000;
// Below it the waits after refusals alone set the pace.
const LEAST_PER_MS = 1 / 1_000;
const BURST_MS = 200;

export class FoundRate {
  #refusedAt: number | null = null;
  #refusals = 0;
  #firstAt: number | null = null;
  /** Requests a millisecond that were refused, and by how much they were cut. */
  #refused = 0;
  #cut = CUT;
  #level = 0;
  #levelAt = 0;
  /** When the last requests were accepted. */
  #accepted: number[] = [];

  known(): boolean {
    return this.#refusedAt !== null;
  }

  accepted(now: number): void {
    this.#firstAt ??= now;
    this.#accepted.push(now);
    if (this.#accepted.length % 64 === 0)
      this.#accepted = this.#accepted.filter((at) => now - at < MEASURED_MS);
  }

  /** Once for all requests that were under way together. */
  refused(now: number): void {
    const since = now - (this.#refusedAt ?? this.#firstAt ?? now);
    const measuredMs = Math.min(MEASURED_MS, Math.max(since, LEAST_MEASURED_MS));
    const accepted = this.#accepted.filter((at) => now - at < measuredMs).length;
    const soon = this.#refusals > 1 && since < SOON.ms;
    const measured = soon ? Math.min(this.#perMs(now), this.#refused) : accepted / measuredMs;
    this.#refused = Math.max(LEAST_PER_MS, measured);
    this.#cut = soon ? SOON.cut : CUT;
    this.#refusedAt = now;
    this.#refusals += 1;
    this.#level = 0;
    this.#levelAt = now;
  }

  sent(now: number): void {
    this.#refill(now);
    this.#level -= 1;
  }

  waitMs(now: number): number {
    if (this.#refusedAt === null) return 0;
    this.#refill(now);
    return this.#level >= 0 ? 0 : -this.#level / this.#perMs(now);
  }

  perMinute(now: number): number | null {
    return this.#refusedAt === null ? null : this.#perMs(now) * 60_000;
  }

  #refill(now: number): void {
    if (this.#refusedAt === null) return;
    const perMs = this.#perMs(now);
    this.#level = Math.min(Math.max(perMs * BURST_MS, 0.5), this.#level + perMs * (now - this.#levelAt));
    this.#levelAt = now;
  }

  #perMs(now: number): number {
    if (this.#refusedAt === null) return Number.POSITIVE_INFINITY;
    if (this.#refusals === 1) return this.#refused * 2 ** ((now - this.#refusedAt) / DOUBLED_AFTER_MS);
    const away = (now - this.#refusedAt - RETURN_MS) / RETURN_MS;
    return this.#refused * Math.max(0.1, 1 + this.#cut * away ** 3);
  }
}
