// Names of single- and multi-byte encodings from before Unicode, and whether bytes decode in one without damage.
import iconv from "iconv-lite";

/** The name our decoder takes for a declared or detected one; null for UTF-8, for wide encodings and unknown names. */
export function iconvName(label: string): string | null {
  const name = label.trim().toLowerCase();
  const known = ALIASES[name] ?? name;
  if (/^(utf|ucs|unicode|base64|hex|binary|internal)/.test(known.replace(/[^a-z0-9]/g, ""))) return null;
  return known === "iso-2022-jp" || iconv.encodingExists(known) ? known : null;
}

// Supersets, as browsers read them: what calls itself Latin-1 is windows-1252, EUC-KR is CP949, and so on.
const ALIASES: Readonly<Record<string, string>> = {
  ascii: "windows-1252",
  "us-ascii": "windows-1252",
  "iso-8859-1": "windows-1252",
  latin1: "windows-1252",
  "iso-8859-9": "windows-1254",
  "euc-kr": "cp949",
  "ks_c_5601-1987": "cp949",
  ksc5601: "cp949",
  gb2312: "gb18030",
  gbk: "gb18030",
  "x-gbk": "gb18030",
  "big5-hkscs": "big5hkscs",
  big5: "big5hkscs",
  "koi8-r": "koi8-u",
  "x-sjis": "shift_jis",
  sjis: "shift_jis",
  "windows-31j": "shift_jis",
};

/** Share of characters that did not decode or that text does not hold (C1 controls, private use). */
export function damage(text: string): number {
  let bad = 0;
  let all = 0;
  for (const char of text) {
    const code = char.codePointAt(0) ?? 0;
    if (code < 0x80) continue;
    all += 1;
    if (code === 0xfffd || code < 0xa0 || (code >= 0xe000 && code <= 0xf8ff)) bad += 1;
  }
  return all === 0 ? 0 : bad / all;
}

/** A sample may end inside a character, so one bad character is forgiven. */
export function looksDecoded(sample: Buffer, encoding: string): boolean {
  const text =
    encoding === "iso-2022-jp" ? new TextDecoder(encoding).decode(sample) : iconv.decode(sample, encoding);
  return damage(text.slice(0, -1)) < 0.002;
}
