// A statistical guess among encodings from before Unicode, for text that nothing else has told.
// chardet ranks; what does not decode cleanly is struck out; multi-byte candidates are then compared by how
// common their characters are, because chardet knows CP949 only where it is EUC-KR.
import chardet from "chardet";
import iconv from "iconv-lite";
import { damage, iconvName } from "./legacy-encodings.ts";

export type Guess = { readonly encoding: string; readonly confidence: number; readonly reason: string };

const MULTIBYTE = ["shift_jis", "euc-jp", "gb18030", "big5hkscs", "cp949"] as const;
/** A multi-byte encoding is believed when this share of its characters is everyday text of its language. */
const MIN_EVERYDAY = 0.8;
const MIN_CHARDET = 15;

export function guessLegacyEncoding(sample: Buffer): Guess {
  const multibyte = guessMultibyte(sample);
  if (multibyte !== null) return multibyte;
  for (const match of chardet.analyse(sample)) {
    const encoding = iconvName(match.name);
    if (encoding === null || MULTIBYTE.some((name) => name === encoding)) continue;
    if (match.confidence < MIN_CHARDET || damage(iconv.decode(sample, encoding)) > 0.02) continue;
    return { encoding, confidence: match.confidence / 100, reason: "detected" };
  }
  return { encoding: "windows-1252", confidence: 0.3, reason: "nothing better" };
}

/** Rated by everyday characters: wrongly paired bytes give rare ones. */
function guessMultibyte(sample: Buffer): Guess | null {
  const ranked = MULTIBYTE.map((encoding) => ({
    encoding,
    ...rate(iconv.decode(sample, encoding), encoding),
  }))
    .filter((rated) => rated.damaged < 0.01 && rated.everyday >= MIN_EVERYDAY)
    .sort((a, b) => b.everyday - a.everyday);
  const best = ranked[0];
  if (best === undefined) return null;
  return { encoding: best.encoding, confidence: Math.min(0.95, best.everyday), reason: "detected" };
}

function rate(text: string, encoding: (typeof MULTIBYTE)[number]): { damaged: number; everyday: number } {
  const everyday = EVERYDAY[encoding];
  let all = 0;
  let weight = 0;
  for (const char of text.slice(0, -1)) {
    if (char.charCodeAt(0) < 0x80) continue;
    all += 1;
    weight += everyday(char);
  }
  return { damaged: damage(text.slice(0, -1)), everyday: all === 0 ? 0 : weight / all };
}

const KANA = /[\u3041-\u30ff]/;
const CJK_PUNCTUATION = /[\u3000-\u3002\u3008-\u3011\uff01-\uff5e\u2018-\u201d\u2026\u2014]/;
const HANGUL = /[\uac00-\ud7a3]/;

/** 1 for what fills a text of the language, a share for what is merely possible in it. */
const EVERYDAY: Readonly<Record<(typeof MULTIBYTE)[number], (char: string) => number>> = {
  shift_jis: (char) => (KANA.test(char) || CJK_PUNCTUATION.test(char) ? 1 : japanese(char)),
  "euc-jp": (char) => (KANA.test(char) || CJK_PUNCTUATION.test(char) ? 1 : japanese(char)),
  gb18030: (char) => (CJK_PUNCTUATION.test(char) ? 1 : inRange(char, "gb18030", 0xb0, 0xd7)),
  big5hkscs: (char) => (CJK_PUNCTUATION.test(char) ? 1 : inRange(char, "big5hkscs", 0xa4, 0xc6)),
  cp949: (char) => (HANGUL.test(char) || CJK_PUNCTUATION.test(char) ? 1 : korean(char)),
};

/** The first level of the national sets is ordered by use: everyday characters lie between these lead bytes. */
function inRange(char: string, encoding: string, from: number, to: number): number {
  if (!/\p{Script=Han}/u.test(char)) return 0;
  const lead = iconv.encode(char, encoding)[0] ?? 0;
  return lead >= from && lead <= to ? 0.97 : 0.2;
}

function korean(char: string): number {
  // Single letters, circled ones and symbols of chat, and the occasional hanja.
  if (/[\u3131-\u318e\u3200-\u32ff\u2460-\u24ff\u2600-\u26ff]/.test(char)) return 0.9;
  return /\p{Script=Han}/u.test(char) ? 0.6 : 0;
}

function japanese(char: string): number {
  // JIS level 1 has the same lead bytes in EUC-JP (B0 to CF).
  return inRange(char, "euc-jp", 0xb0, 0xcf);
}
