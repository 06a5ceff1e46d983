// When a server said to come back.

const LONGEST_WAIT_MS = 3_600_000;

/**
 * Milliseconds from now by `retry-after-ms`, or `retry-after` in seconds or as a date; undefined where neither can be
 * read. At most an hour is believed.
 */
export function retryAfterOf(headers: Headers | undefined): number | undefined {
  if (headers === undefined) return undefined;
  const said =
    inMs(headers.get("retry-after-ms"), 1) ??
    inMs(headers.get("retry-after"), 1000) ??
    untilDate(headers.get("retry-after"));
  return said === undefined ? undefined : believable(said);
}

export const believable = (waitMs: number): number => Math.min(Math.max(waitMs, 0), LONGEST_WAIT_MS);

function inMs(value: string | null, unitMs: number): number | undefined {
  return value !== null && /^\d+(\.\d+)?$/.test(value.trim()) ? Math.ceil(Number(value) * unitMs) : undefined;
}

function untilDate(value: string | null): number | undefined {
  const at = value === null ? Number.NaN : Date.parse(value);
  return Number.isNaN(at) ? undefined : at - Date.now();
}
