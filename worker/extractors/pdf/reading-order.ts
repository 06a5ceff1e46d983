// Fragments of a page to regions in reading order, by a recursive cut along white space (XY cut; Nagy & Seth 1984).
// Lines that run across a gutter (a title over two columns, a wide figure's caption) do not hide it: they divide
// the page into bands, and each band is read column by column or row by row.
import { ASCENT, DESCENT, type Fragment } from "./fragments.ts";
import { findGutters, type Gutter } from "./gutters.ts";
import { judgeStacks } from "./judge-columns.ts";

export type Region = readonly Fragment[];

/** What a page looked like, for the decisions that are told. */
export type PageLayout = { readonly regions: readonly Region[]; readonly columns: number };

/** Cuts below cuts; a page of text needs about six. What is left then is read from top to bottom. */
const MAX_DEPTH = 40;
/** White space across the page that parts two regions, as a share of the text's size. */
const MIN_BAND_GAP = 0.6;
/** Fewer fragments hold no columns. */
const MIN_FRAGMENTS = 4;
/** Fewer above each other are no column. */
const MIN_STACK = 2;

type Node = { readonly fragments: readonly Fragment[]; readonly depth: number; readonly columns: number };

/** `rtl`: the page's columns follow each other from right to left. */
export function orderFragments(fragments: readonly Fragment[], rtl: boolean): PageLayout {
  const regions: Region[] = [];
  let columns = 1;
  const waiting: Node[] = [{ fragments, depth: 0, columns: 1 }];
  for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
    columns = Math.max(columns, node.columns);
    const parts = node.depth < MAX_DEPTH ? cut(node, rtl) : null;
    if (parts === null) regions.push(node.fragments);
    else waiting.push(...parts.reverse());
  }
  return { regions, columns };
}

function cut(node: Node, rtl: boolean): Node[] | null {
  if (node.fragments.length < MIN_FRAGMENTS) return null;
  const fragments = node.fragments.toSorted((a, b) => b.y - a.y);
  if (!standSideBySide(fragments)) return null;
  for (const gutter of findGutters(fragments)) {
    const parts = cutAlong(gutter, { ...node, fragments }, rtl);
    if (parts !== null) return parts;
  }
  const bands = cutAcross(fragments);
  return bands === null ? null : bands.map((band) => ({ ...node, fragments: band, depth: node.depth + 1 }));
}

/** Whether anything stands beside anything: else there is nothing to decide, as in most regions. From the top down. */
function standSideBySide(fragments: readonly Fragment[]): boolean {
  return fragments.some((one, at) => {
    const next = fragments[at + 1];
    return (
      next !== undefined &&
      one.y - next.y < 0.5 * Math.min(one.size, next.size) &&
      (next.x >= one.right || one.x >= next.right)
    );
  });
}

/** Parts in reading order when at least one band between the lines that cross the gutter has columns. */
function cutAlong(gutter: Gutter, node: Node, rtl: boolean): Node[] | null {
  const parts: Node[] = [];
  const depth = node.depth + 1;
  let whole: Fragment[] = [];
  let found = false;
  const flush = (): void => {
    if (whole.length > 0) parts.push({ fragments: whole, depth, columns: node.columns });
    whole = [];
  };
  for (const band of bandsOf(gutter, node.fragments)) {
    const { left, right } = band;
    const verdict = Math.min(left.length, right.length) < MIN_STACK ? null : judgeStacks(left, right);
    if (verdict === null || verdict.kind === "lines") {
      whole.push(...band.across, ...left, ...right);
      continue;
    }
    found = true;
    whole.push(...band.across);
    flush();
    const sides = rtl ? [right, left] : [left, right];
    const columns = node.columns + (verdict.kind === "columns" ? 1 : 0);
    for (const row of verdict.kind === "columns" ? [sides] : rowsAt(verdict.from, sides))
      for (const side of row) if (side.length > 0) parts.push({ fragments: side, depth, columns });
  }
  flush();
  return found ? parts : null;
}

/** The cells of each row of a table whose cells are wrapped. */
function rowsAt(from: readonly number[], sides: readonly Fragment[][]): Fragment[][][] {
  const bounds = [Number.POSITIVE_INFINITY, ...from, Number.NEGATIVE_INFINITY];
  return bounds.slice(1).map((bottom, at) => {
    const top = bounds[at] ?? Number.POSITIVE_INFINITY;
    return sides.map((side) =>
      side.filter(
        ({ y, size }) =>
          y <= top + size / 3 && (y > bottom + size / 3 || bottom === Number.NEGATIVE_INFINITY),
      ),
    );
  });
}

type Band = { readonly across: Fragment[]; readonly left: Fragment[]; readonly right: Fragment[] };

/** From the top down: the fragments that cross the gutter, then what stands beside it until the next that cross. */
function bandsOf({ from, to }: Gutter, fragments: readonly Fragment[]): Band[] {
  const middle = (from + to) / 2;
  const bands: Band[] = [];
  for (const fragment of fragments) {
    const crosses = fragment.x < from && fragment.right > to;
    const side = (fragment.x + fragment.right) / 2 < middle ? "left" : "right";
    const last = bands.at(-1);
    if (last === undefined || (crosses && last.left.length + last.right.length > 0))
      bands.push({ across: [], left: [], right: [] });
    bands.at(-1)?.[crosses ? "across" : side].push(fragment);
  }
  return bands;
}

/** Two parts at the widest white band across, null when there is none. */
function cutAcross(fragments: readonly Fragment[]): [Fragment[], Fragment[]] | null {
  const sorted = fragments.toSorted((a, b) => topOf(b) - topOf(a));
  let lowest = Number.POSITIVE_INFINITY;
  let widest = 0;
  let at = 0;
  for (const [index, fragment] of sorted.entries()) {
    const gap = (lowest - topOf(fragment)) / fragment.size;
    if (index > 0 && gap > MIN_BAND_GAP && gap > widest) {
      widest = gap;
      at = index;
    }
    lowest = Math.min(lowest, fragment.y - DESCENT * fragment.size);
  }
  return at === 0 ? null : [sorted.slice(0, at), sorted.slice(at)];
}

const topOf = (fragment: Fragment): number => fragment.y + ASCENT * fragment.size;
