// UTF-16 and UTF-32 without a byte order mark: by where the NULs lie, else by whether the decoded text is
// made of letters of one script. Asked only of files with control bytes, which legacy text does not hold.
import type { Guess } from "./guess-legacy-encoding.ts";

const MIN_PLAUSIBILITY = 0.9;

export function guessWideEncoding(head: Buffer): Guess | null {
  if (head.length < 4) return null;
  const nul = [0, 0, 0, 0];
  for (let at = 0; at < head.length; at += 1) if (head[at] === 0) nul[at % 4] = (nul[at % 4] ?? 0) + 1;
  const quarter = head.length / 4;
  const [n0 = 0, n1 = 0, n2 = 0, n3 = 0] = nul.map((count) => count / quarter);
  if (n2 > 0.9 && n3 > 0.95) return { encoding: "utf-32le", confidence: 0.95, reason: "NUL parity" };
  if (n0 > 0.95 && n1 > 0.9) return { encoding: "utf-32be", confidence: 0.95, reason: "NUL parity" };
  const even = (n0 + n2) / 2;
  const odd = (n1 + n3) / 2;
  if (odd > 0.4 && even < 0.05) return { encoding: "utf-16le", confidence: 0.95, reason: "NUL parity" };
  if (even > 0.4 && odd < 0.05) return { encoding: "utf-16be", confidence: 0.95, reason: "NUL parity" };
  return byScript(head);
}

function byScript(head: Buffer): Guess | null {
  const even = head.subarray(0, head.length - (head.length % 2));
  const scored = (["utf-16le", "utf-16be"] as const).map((encoding) => ({
    encoding,
    score: plausibility(
      encoding === "utf-16le" ? even.toString("utf16le") : swapped(even).toString("utf16le"),
    ),
  }));
  const [best, other] = scored.sort((a, b) => b.score - a.score);
  if (best === undefined || other === undefined) return null;
  if (best.score < MIN_PLAUSIBILITY || best.score - other.score < 0.2) return null;
  return { encoding: best.encoding, confidence: best.score * 0.9, reason: "script plausibility" };
}

function swapped(bytes: Buffer): Buffer {
  return Buffer.from(bytes).swap16();
}

/**
 * 0 to 1: the share of characters in the text's foremost block of scripts or common to all. Wrongly paired
 * bytes scatter over the plane, put control characters between, and lack the space and the line break.
 */
function plausibility(text: string): number {
  if (!text.isWellFormed() || !/[ \n\u3000\u3001\u3002]/.test(text)) return 0;
  const counts = new Map<string, number>();
  let all = 0;
  for (const char of text) {
    all += 1;
    const family = familyOf(char);
    counts.set(family, (counts.get(family) ?? 0) + 1);
  }
  if ((counts.get("bad") ?? 0) > all * 0.01) return 0;
  const common = counts.get("common") ?? 0;
  const scripts = [...counts].filter(
    ([family]) => family !== "common" && family !== "bad" && family !== "latin",
  );
  const most = Math.max(0, ...scripts.map(([, count]) => count));
  return (common + (counts.get("latin") ?? 0) + most) / all;
}

const FAMILIES: readonly (readonly [string, RegExp])[] = [
  ["latin", /\p{Script=Latin}/u],
  ["cyrillic", /\p{Script=Cyrillic}/u],
  ["greek", /\p{Script=Greek}/u],
  ["arabic", /\p{Script=Arabic}/u],
  ["hebrew", /\p{Script=Hebrew}/u],
  ["cjk", /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Bopomofo}]/u],
  ["hangul", /\p{Script=Hangul}/u],
  ["indic", /[\p{Script=Devanagari}\p{Script=Bengali}\p{Script=Tamil}\p{Script=Telugu}\p{Script=Thai}]/u],
  ["caucasian", /[\p{Script=Georgian}\p{Script=Armenian}]/u],
];

function familyOf(char: string): string {
  const code = char.codePointAt(0) ?? 0;
  if (code === 9 || code === 10 || code === 13) return "common";
  if (code < 32 || (code >= 0x7f && code < 0xa0) || /[\p{Cn}\p{Co}\p{Cs}]/u.test(char)) return "bad";
  if (/[\p{N}\p{P}\p{Zs}\p{S}\p{M}\p{Cf}]/u.test(char)) return "common";
  return FAMILIES.find(([, pattern]) => pattern.test(char))?.[0] ?? "other";
}
