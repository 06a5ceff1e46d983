// The bookmarks of a PDF, flattened without recursion, with the page and height they point to.
import type { PDFDocumentProxy } from "pdfjs-dist/types/src/display/api.js";

const MAX_ENTRIES = 5_000;
const MAX_LEVEL = 9;

export type OutlineEntry = {
  readonly title: string;
  /** From 1. */
  readonly level: number;
  /** From 1. */
  readonly page: number;
  /** Height of the target in points, null when it is the whole page. */
  readonly top: number | null;
};

type Node = Awaited<ReturnType<PDFDocumentProxy["getOutline"]>>[number];

/** Entries by page, in the outline's order. Empty where there is none or it points nowhere. */
export async function readOutline(
  pdf: PDFDocumentProxy,
): Promise<ReadonlyMap<number, readonly OutlineEntry[]>> {
  const byPage = new Map<number, OutlineEntry[]>();
  const roots: readonly Node[] = (await pdf.getOutline().catch(() => null)) ?? [];
  const waiting = roots.map((node) => ({ node, level: 1 })).reverse();
  for (let count = 0; count < MAX_ENTRIES; count += 1) {
    const next = waiting.pop();
    if (next === undefined) break;
    for (const child of (next.node.items as Node[]).toReversed())
      waiting.push({ node: child, level: Math.min(next.level + 1, MAX_LEVEL) });
    const target = await resolveTarget(pdf, next.node.dest);
    const title = next.node.title.replace(/\s+/g, " ").trim();
    if (target === null || title === "") continue;
    const entries = byPage.get(target.page) ?? [];
    entries.push({ title, level: next.level, ...target });
    byPage.set(target.page, entries);
  }
  return byPage;
}

async function resolveTarget(
  pdf: PDFDocumentProxy,
  dest: Node["dest"],
): Promise<{ page: number; top: number | null } | null> {
  try {
    const explicit: unknown[] | null = typeof dest === "string" ? await pdf.getDestination(dest) : dest;
    const page: unknown = explicit?.[0];
    if (explicit === null || page === undefined || page === null) return null;
    const index =
      // SAFETY: an explicit destination begins with a page reference or a page number (ISO 32000, 12.3.2.2).
      typeof page === "number"
        ? page
        : await pdf.getPageIndex(page as Parameters<typeof pdf.getPageIndex>[0]);
    const kind = (explicit[1] as { name?: string } | undefined)?.name;
    const top = kind === "XYZ" ? explicit[3] : kind === "FitH" || kind === "FitBH" ? explicit[2] : null;
    return { page: index + 1, top: typeof top === "number" ? top : null };
  } catch {
    return null;
  }
}
