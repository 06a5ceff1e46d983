// A provider's own words about a refusal, fit to be stored and shown. Providers repeat the input they choke on, and
// parts of the key: only words that an error of an API is made of stay, and others that no text of ours holds.

const MOST_CHARS = 200;
const LEFT_OUT = "[…]";
// What is left of a text by chance is no secret; what the message is about is lost without them.
const OF_AN_ERROR = new Set(
  `a about allowed an and any are array as at bad batch be been by bytes can cannot characters code content contains
  context count current data decode dimension dimensions does empty encoding error exceed exceeded exceeds expected
  expecting failed for found format from got had has have in increase index input inputs internal invalid is it
  large larger least length less limit list long longer many max maximum message minimum missing model more most must
  nan nil no not null number of on only or than parse parameter physical please process range reached reduce request
  requested required resulted server shorter should size smaller split string supported than that the this to token
  tokens too try type unable unsupported use utf-8 utf8 valid value values was were while with you your`.split(
    /\s+/,
  ),
);

/** null when nothing can be said, or nothing is left. `error`: the body's `error`, as it was parsed. */
export function wordsOfProvider(error: unknown, texts: readonly string[]): string | null {
  const message = messageOf(error);
  if (message === null) return null;
  const sent = texts.map((text) => text.toLowerCase());
  const kept = message
    // Also where a word was broken by the cut.
    .slice(0, MOST_CHARS * 4)
    .split(/\s+/)
    .map((word) => (mayStay(word, sent) ? word : LEFT_OUT))
    .filter((word, at, all) => word !== LEFT_OUT || all[at - 1] !== LEFT_OUT);
  if (kept.every((word) => word === LEFT_OUT)) return null;
  return kept.join(" ").slice(0, MOST_CHARS).trim();
}

function messageOf(error: unknown): string | null {
  if (typeof error === "string") return error;
  if (typeof error !== "object" || error === null || !("message" in error)) return null;
  return typeof error.message === "string" && error.message !== "" ? error.message : null;
}

function mayStay(word: string, sent: readonly string[]): boolean {
  const bare = word.toLowerCase().replace(/^[^\p{L}\p{N}]+|[^\p{L}\p{N}]+$/gu, "");
  if (bare === "" || OF_AN_ERROR.has(bare)) return word.length <= bare.length + 4;
  // Keys, hashes, addresses, and what carries a value in it.
  if (!/^[\p{L}\p{N}'-]{1,19}$/u.test(bare) || /^(sk|sb|pk|key|bearer)-/.test(bare)) return false;
  if (/\p{L}/u.test(bare) && /\p{N}/u.test(bare)) return false;
  return !sent.some((text) => text.includes(bare));
}
