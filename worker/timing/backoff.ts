// Exponential backoff with full jitter: each wait is random between 0 and a ceiling that doubles.
// Source: "Exponential Backoff and Jitter", AWS Architecture Blog, 2015.

export type BackoffLimits = { readonly firstMs: number; readonly mostMs: number };

/** The wait before retry number `attempt` (from 1), in milliseconds. */
export function backoffMs(
  attempt: number,
  limits: BackoffLimits,
  random: () => number = Math.random,
): number {
  const ceiling = Math.min(limits.mostMs, limits.firstMs * 2 ** Math.min(attempt - 1, 30));
  return Math.round(random() * ceiling);
}
