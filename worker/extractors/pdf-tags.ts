// Heading levels from a page's structure tree (tagged PDF), by the ids of marked content.
import type { PDFPageProxy } from "pdfjs-dist/types/src/display/api.js";

const MAX_NODES = 100_000;

type Node = {
  readonly role?: string;
  readonly type?: string;
  readonly id?: string;
  readonly children?: readonly Node[];
};

/** Level by marked-content id: 0 for Title, 1 to 6 for H1 to H6, 1 for H. Empty for untagged pages. */
export async function readTagLevels(page: PDFPageProxy): Promise<ReadonlyMap<string, number>> {
  const levels = new Map<string, number>();
  const root = (await page.getStructTree().catch(() => null)) as Node | null;
  const waiting: { node: Node; level: number | null }[] = root === null ? [] : [{ node: root, level: null }];
  for (let count = 0; count < MAX_NODES; count += 1) {
    const next = waiting.pop();
    if (next === undefined) break;
    const level = levelOfRole(next.node.role) ?? next.level;
    if (next.node.type === "content" && next.node.id !== undefined && level !== null)
      levels.set(next.node.id, level);
    for (const node of next.node.children ?? []) waiting.push({ node, level });
  }
  return levels;
}

function levelOfRole(role: string | undefined): number | null {
  if (role === "Title") return 0;
  if (role === "H") return 1;
  const level = /^H([1-6])$/.exec(role ?? "")?.[1];
  return level === undefined ? null : Number(level);
}
