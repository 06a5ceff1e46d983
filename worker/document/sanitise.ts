// The one sanitiser for every string that is written: Postgres refuses NUL, JSON refuses lone surrogates, and other
// control characters are no text: they break words, terminals and the counts of tokens.
// Offsets everywhere refer to sanitised text. Private-use characters stay: fonts and scripts give them a meaning.

const SEPARATING: ReadonlyMap<string, string> = new Map([
  // Vertical tab, form feed, next line; then the four information separators.
  ...["\v", "\f", "\u0085"].map((sign) => [sign, "\n"] as const),
  ...["\u001c", "\u001d", "\u001e", "\u001f"].map((sign) => [sign, " "] as const),
]);
const DISTURBING = /[[\p{Cc}\p{Noncharacter_Code_Point}\uFEFF]--[\t\n\r]]/v;
const ALL_DISTURBING = new RegExp(DISTURBING, "gv");

/**
 * Replaces each lone surrogate and each noncharacter by U+FFFD, controls that separate by a line break or a blank, and
 * removes all other controls (C0, DEL, C1; not tab, line feed, carriage return) and byte order marks, which are white
 * space to JavaScript and would part a word in its middle. Returns the same string when it is clean.
 */
export function sanitise(text: string): string {
  const wellFormed = text.isWellFormed() ? text : text.toWellFormed();
  if (!DISTURBING.test(wellFormed)) return wellFormed;
  return wellFormed.replace(
    ALL_DISTURBING,
    (sign) => SEPARATING.get(sign) ?? (/\p{Cc}|\uFEFF/u.test(sign) ? "" : "\uFFFD"),
  );
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
