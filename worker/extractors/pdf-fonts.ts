// The real names of a PDF's fonts. Text content names them g_d0_f1; only a page's drawing operations make
// pdf.js hand the font over, so they are asked for once for each font, on the page where it is first seen.
import type { PDFPageProxy, TextContent } from "pdfjs-dist/types/src/display/api.js";
import { isBoldName } from "./pdf-headings.ts";

/** Asking costs as much as reading the page's text: a document that brings new fonts on each page gets no more. */
const MAX_ASKED_PAGES = 64;

export type FontNames = {
  learn(page: PDFPageProxy, content: TextContent): Promise<void>;
  readonly isBold: (font: string) => boolean;
};

export function createFontNames(): FontNames {
  const bold = new Map<string, boolean>();
  let asked = 0;
  return {
    async learn(page, content) {
      const unknown = Object.keys(content.styles).filter((font) => !bold.has(font));
      if (unknown.length === 0 || asked >= MAX_ASKED_PAGES) return;
      asked += 1;
      try {
        await page.getOperatorList();
      } catch {
        // Pictures or shadings may be broken on a page whose text is fine.
      }
      for (const font of unknown) bold.set(font, isBoldName(nameOf(page, font)));
    },
    isBold: (font) => bold.get(font) ?? false,
  };
}

function nameOf(page: PDFPageProxy, font: string): string {
  if (!page.commonObjs.has(font)) return "";
  const loaded = page.commonObjs.get(font) as { readonly name?: unknown } | null;
  return typeof loaded?.name === "string" ? loaded.name : "";
}
