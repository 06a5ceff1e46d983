// A page's structure tree (tagged PDF) by the ids of marked content: the order of its blocks, heading levels,
// and the rows and cells of tables.
import type { PDFPageProxy } from "pdfjs-dist/types/src/display/api.js";

const MAX_NODES = 100_000;

type Node = {
  readonly role?: string;
  readonly type?: string;
  readonly id?: string;
  readonly children?: readonly Node[];
};

export type TagPlace = {
  /** Ascending in reading order; one for each block of text: a paragraph, heading, list item, table row. */
  readonly block: number;
  /** 0 for Title, 1 to 6 for H1 to H6, 1 for H. */
  readonly level: number | null;
  /** Ascending within a table's row, else null. */
  readonly cell: number | null;
};

type Context = TagPlace & {
  /** Inside a list item or a row's cell: what is in there makes no blocks of its own. */
  readonly whole: boolean;
};

/** Empty for untagged pages. */
export async function readTags(page: PDFPageProxy): Promise<ReadonlyMap<string, TagPlace>> {
  const root = (await page.getStructTree().catch(() => null)) as Node | null;
  return root === null ? new Map() : placesOf(root);
}

export function placesOf(root: Node): ReadonlyMap<string, TagPlace> {
  const places = new Map<string, TagPlace>();
  let count = 0;
  const start: Context = { block: count, level: null, cell: null, whole: false };
  const waiting: { node: Node; context: Context }[] = [{ node: root, context: start }];
  for (let nodes = 0; nodes < MAX_NODES; nodes += 1) {
    const next = waiting.pop();
    if (next === undefined) break;
    const { node } = next;
    if (node.type === "content" && node.id !== undefined) {
      const { block, level, cell } = next.context;
      places.set(node.id, { block, level, cell });
    }
    const context = enter(node.role, next.context);
    for (const child of node.children?.toReversed() ?? []) waiting.push({ node: child, context });
  }
  return places;

  function enter(role: string | undefined, above: Context): Context {
    if (role === undefined || INLINE.has(role)) return above;
    count += 1;
    const level = levelOfRole(role);
    if (level !== null) return { ...above, block: above.cell === null ? count : above.block, level };
    if (role === "TD" || role === "TH") return { ...above, cell: count, whole: true };
    if (role === "L" && above.cell === null) return { ...above, block: count, whole: false };
    if (above.whole) return above;
    return { block: count, level: above.level, cell: null, whole: role === "LI" || role === "TOCI" };
  }
}

/** Roles within a line (ISO 32000-2, 14.8.4.7 and 14.8.4.8). */
const INLINE: ReadonlySet<string> = new Set(
  "Span Quote Reference BibEntry Code Link Annot Ruby RB RT RP Warichu WT WP Em Strong Sub FENote Lbl LBody".split(
    " ",
  ),
);

function levelOfRole(role: string): number | null {
  if (role === "Title") return 0;
  if (role === "H") return 1;
  const level = /^H([1-6])$/.exec(role)?.[1];
  return level === undefined ? null : Number(level);
}
