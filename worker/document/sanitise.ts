// The one sanitiser for every string that is written: Postgres refuses NUL, JSON refuses lone surrogates.
// Offsets everywhere refer to sanitised text.

/** Removes NUL and replaces each lone surrogate by U+FFFD. Returns the same string when it is clean. */
export function sanitise(text: string): string {
  const wellFormed = text.isWellFormed() ? text : text.toWellFormed();
  return wellFormed.includes("\0") ? wellFormed.replaceAll("\0", "") : wellFormed;
}

/** The same for a JSON value: keys and values, to any depth a caller may write (32 levels). */
export function sanitiseJson(value: unknown, depth = 0): unknown {
  if (typeof value === "string") return sanitise(value);
  if (value === null || typeof value !== "object") return value;
  if (depth >= 32) return null;
  if (Array.isArray(value)) return value.map((item) => sanitiseJson(item, depth + 1));
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [sanitise(key), sanitiseJson(item, depth + 1)]),
  );
}
