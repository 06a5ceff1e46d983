// A page's text items as pdf.js streams them, up to a limit: a page that draws a million letters one by one is no
// page anybody reads, and its items alone would fill the child's memory.
import type { PDFPageProxy, TextContent } from "pdfjs-dist/types/src/display/api.js";
import type { PageItems } from "./runs.ts";

/** A page of small print has some thousands; a wall-sized plan some ten thousands. */
const MAX_ITEMS = 200_000;

export async function readItems(
  page: PDFPageProxy,
  marked: boolean,
): Promise<PageItems & { readonly cut: boolean }> {
  const items: TextContent["items"] = [];
  const styles: TextContent["styles"] = {};
  const reader = page.streamTextContent({ includeMarkedContent: marked }).getReader();
  for (;;) {
    // SAFETY: the stream's chunks are parts of a TextContent (pdf.js, display/api.js, getTextContent).
    const { done, value } = (await reader.read()) as { done: boolean; value?: TextContent };
    if (done || value === undefined) return { items, styles, cut: false };
    Object.assign(styles, value.styles);
    for (const item of value.items) items.push(item);
    if (items.length < MAX_ITEMS) continue;
    await reader.cancel(new Error("more text items than a page may have")).catch(() => undefined);
    return { items, styles, cut: true };
  }
}
