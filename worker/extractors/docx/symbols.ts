// Characters of symbol fonts (Symbol, Wingdings, Webdings). Word stores them as codes of that font, or moved into the
// private use area by F000, where they mean nothing to a reader.
import { codePoint } from "dingbat-to-unicode";

const SYMBOL_FONT = /^(symbol|wingdings|webdings)/i;

/** The Unicode text of one code of a font; empty where nobody knows what it looks like. */
export function symbolText(font: string | null, code: number): string {
  if (Number.isNaN(code) || code < 0x20 || code > 0xffff) return "";
  const known = font === null ? undefined : codePoint(font, isPrivate(code) ? code - 0xf000 : code);
  if (known !== undefined) return known.string;
  return isPrivate(code) ? "" : String.fromCharCode(code);
}

/** Text of a run whose font is a symbol font; text of all other runs is what it says. */
export function runText(font: string | null, text: string): string {
  if (font === null || !SYMBOL_FONT.test(font)) return text;
  // Only what was moved into the private area: a run in Symbol may as well hold letters that Word shows as letters.
  return text.replace(/[\uf020-\uf0ff]/g, (char) => symbolText(font, char.charCodeAt(0)));
}

function isPrivate(code: number): boolean {
  return code >= 0xf000 && code <= 0xf0ff;
}
