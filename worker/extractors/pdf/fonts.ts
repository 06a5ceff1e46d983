// What only a font itself can tell: whether it is bold, and whether its characters are what they seem. Text content
// says neither; pdf.js hands fonts over with a page's drawing operations, which cost as much as its text, so they
// are asked for only where the answer decides something.
import type { PDFPageProxy } from "pdfjs-dist/types/src/display/api.js";
import { loadPdfjs } from "./open-pdf.ts";
import { fontOf, type Run } from "./runs.ts";

/** Pages that may be asked for: some at once, and one more for each so many pages read. */
const FIRST_ASKS = 4;
const PAGES_PER_ASK = 64;
/** Characters of a font that must be odd before its page is asked. */
const MIN_ODD_CHARS = 8;

export type FontFacts = {
  readonly isBold: (font: string) => boolean;
  /** Its characters are glyph numbers: the file has no map from them to Unicode. */
  readonly isGarbled: (font: string) => boolean;
  readonly isKnown: (font: string) => boolean;
  /** Learns all fonts of a page, unless enough pages were asked. */
  learn(page: PDFPageProxy): Promise<void>;
  /** Learns a page's fonts when some of its text looks like glyph numbers. */
  check(page: PDFPageProxy, runs: readonly Run[]): Promise<void>;
};

type Facts = { readonly bold: boolean; readonly garbled: boolean };

export function createFontFacts(): FontFacts {
  const known = new Map<string, Facts>();
  let asked = 0;
  let pages = 0;
  const learn = async (page: PDFPageProxy): Promise<void> => {
    if (asked >= FIRST_ASKS + pages / PAGES_PER_ASK) return;
    asked += 1;
    try {
      const { OPS, AnnotationMode } = await loadPdfjs();
      const list = await page.getOperatorList({ annotationMode: AnnotationMode.DISABLE });
      for (const [font, identical] of glyphNumbers(list, OPS))
        known.set(fontOf(font), factsOf(page, font, identical));
    } catch {
      // Pictures or shadings may be broken on a page whose text is fine.
    }
  };
  return {
    isBold: (font) => known.get(font)?.bold ?? false,
    isGarbled: (font) => known.get(font)?.garbled ?? false,
    isKnown: (font) => known.has(font),
    learn,
    async check(page, runs) {
      pages += 1;
      if (oddFonts(runs).some((font) => !known.has(font))) await learn(page);
    },
  };
}

function factsOf(page: PDFPageProxy, font: string, identical: boolean): Facts {
  if (!page.commonObjs.has(font)) return { bold: false, garbled: false };
  const loaded = page.commonObjs.get(font) as { name?: unknown; composite?: unknown } | null;
  return {
    bold: typeof loaded?.name === "string" && isBoldName(loaded.name),
    garbled: loaded?.composite === true && identical,
  };
}

/** For each font drawn with, whether every character is the number of its own glyph. */
function glyphNumbers(
  list: { readonly fnArray: readonly number[]; readonly argsArray: readonly unknown[] },
  { setFont, showText }: { readonly setFont: number; readonly showText: number },
): ReadonlyMap<string, boolean> {
  const fonts = new Map<string, boolean>();
  let font = "";
  for (const [at, operation] of list.fnArray.entries()) {
    const args = list.argsArray[at];
    if (operation === setFont && Array.isArray(args)) {
      font = String(args[0]);
      if (!fonts.has(font)) fonts.set(font, true);
    }
    if (operation !== showText || !Array.isArray(args) || fonts.get(font) !== true) continue;
    const glyphs: readonly unknown[] = Array.isArray(args[0]) ? args[0] : [];
    if (!glyphs.every(isItsNumber)) fonts.set(font, false);
  }
  return fonts;
}

function isItsNumber(glyph: unknown): boolean {
  if (typeof glyph !== "object" || glyph === null) return true;
  const { originalCharCode, unicode } = glyph as { originalCharCode?: unknown; unicode?: unknown };
  return typeof unicode === "string" && unicode.codePointAt(0) === originalCharCode;
}

/**
 * Fonts some of whose characters are controls, as low glyph numbers are, or backslashes without a small letter:
 * TrueType fonts number their glyphs 29 below ASCII, which makes `\\` of y.
 */
function oddFonts(runs: readonly Run[]): string[] {
  const texts = new Map<string, { chars: number; small: boolean; slash: boolean; controls: number }>();
  for (const { font, text, meaningless } of runs) {
    const seen = texts.get(font) ?? { chars: 0, small: false, slash: false, controls: 0 };
    texts.set(font, seen);
    seen.chars += text.length;
    seen.controls += meaningless;
    seen.small ||= /[a-z]/.test(text);
    seen.slash ||= text.includes("\\");
  }
  return [...texts]
    .filter(
      ([, { chars, small, slash, controls }]) =>
        chars >= MIN_ODD_CHARS && (controls > 0 || (slash && !small)),
    )
    .map(([font]) => font);
}

/** Whether a font is bold by its name: "TimesNewRomanPS-BoldMT", "NimbusRomNo9L-Medi", "SFBX1000", "LinLibertineTB". */
function isBoldName(name: string): boolean {
  const bare = name.replace(/^[A-Z]{6}\+/, "");
  return (
    /bold|black|heavy|demi|semib|-medi(?!um)/i.test(bare) ||
    /^(CMB|SFB[XS]|ptmb|phvb|ECB)/.test(bare) ||
    /TB$/.test(bare)
  );
}
