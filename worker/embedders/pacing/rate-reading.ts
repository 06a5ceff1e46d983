// What a provider says with each answer of its own limits: `x-ratelimit-{limit,remaining,reset}-{requests,tokens}`.
// Source: https://platform.openai.com/docs/guides/rate-limits

/** One of a provider's limits, as it stood when it answered. */
export type Window = {
  readonly limit: number;
  readonly remaining: number;
  /** Milliseconds until `remaining` is `limit` again. */
  readonly resetMs: number;
};

export type RateReading = { readonly requests: Window | null; readonly tokens: Window | null };

/** null where the provider says nothing of its limits. */
export function readRate(headers: Headers): RateReading | null {
  const reading = { requests: readWindow(headers, "requests"), tokens: readWindow(headers, "tokens") };
  return reading.requests === null && reading.tokens === null ? null : reading;
}

function readWindow(headers: Headers, of: "requests" | "tokens"): Window | null {
  const limit = Number(headers.get(`x-ratelimit-limit-${of}`) ?? Number.NaN);
  const remaining = Number(headers.get(`x-ratelimit-remaining-${of}`) ?? Number.NaN);
  const resetMs = readDuration(headers.get(`x-ratelimit-reset-${of}`) ?? "");
  // Some proxies count below zero.
  if (!(limit > 0) || !Number.isFinite(remaining)) return null;
  return { limit, remaining: Math.max(0, remaining), resetMs: resetMs ?? 0 };
}

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `6m0s`, `1.5s`, `20ms` in milliseconds; undefined for what is none. */
export function readDuration(value: string): number | undefined {
  const parts = [...value.matchAll(/([\d.]+)(ms|s|m|h|d)/g)];
  if (parts.length === 0) return undefined;
  const ms = parts.reduce((sum, [, count, unit]) => sum + Number(count) * (UNIT_MS[unit ?? ""] ?? 0), 0);
  return Number.isFinite(ms) ? Math.ceil(ms) : undefined;
}
