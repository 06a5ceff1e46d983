// Code pages of RTF: the document names one, and each font may name another by its character set.
import iconv from "iconv-lite";
import { symbolText } from "../docx/symbols.ts";

export type RtfFont = { name: string; readonly charset: number | null; readonly codePage: number | null };

/** `\fcharset` of RTF 1.9.1, "Font Table", to Windows code pages; 0 and 1 mean the document's own. */
const CHARSETS: Readonly<Record<number, string>> = {
  77: "macroman",
  128: "cp932",
  129: "cp949",
  130: "cp949",
  134: "cp936",
  136: "cp950",
  161: "cp1253",
  162: "cp1254",
  163: "cp1258",
  177: "cp1255",
  178: "cp1256",
  186: "cp1257",
  204: "cp1251",
  222: "cp874",
  238: "cp1250",
  254: "cp437",
  255: "cp850",
};
const SYMBOL_CHARSET = 2;

/** The text of bytes in a font. `documentPage` is the iconv name of the document's code page. */
export function decodeRtf(bytes: Buffer, font: RtfFont | undefined, documentPage: string): string {
  if (font !== undefined && (font.charset === SYMBOL_CHARSET || /^(symbol|wingdings)/i.test(font.name)))
    return Array.from(bytes, (byte) => symbolText(font.name, byte) || String.fromCharCode(byte)).join("");
  return iconv.decode(
    bytes,
    codePageName(font?.codePage ?? null) ?? CHARSETS[font?.charset ?? 0] ?? documentPage,
  );
}

/** The iconv name of a code page by number; null where there is none. */
export function codePageName(page: number | null): string | null {
  if (page === null) return null;
  if (page === 65_001) return "utf-8";
  if (page === 10_000) return "macroman";
  return iconv.encodingExists(`cp${page}`) ? `cp${page}` : null;
}
