// Running headers, footers and page numbers: what stands at the edge of several neighbouring pages at one height,
// with the same words or a number that counts the pages. Decided within a window of pages, so that reading streams
// and a chapter's own header is found too.
import { type Fragment, rowsOf } from "./fragments.ts";
import type { Extent } from "./runs.ts";

/** Rows looked at, from the top and from the bottom. */
const EDGE_ROWS = 4;
/** Share of the page's height that headers and footers keep to; what pages repeat farther in is their own. */
const MARGIN_SHARE = 0.2;
/** Left, middle and right; a row of more pieces is a table's. */
const MAX_PIECES = 3;
/** Pages before and after that may tell. Left and right pages often differ, so half of them can agree. */
export const WINDOW = 8;
/** Other pages that must agree; one is enough for what its producer marked as no content. */
const MIN_AGREEING = 2;
/** Share of the window that must agree on what is set larger than the text: slides repeat their titles for a while. */
const LARGE_SHARE = 0.6;
/** Points. */
const HEIGHT_SHIFT = 3;
/** The body begins at least so many sizes away; what is nearer may be a table's head that each page repeats. */
const MIN_DISTANCE = 1.7;
/** A line whose number changes is a page's own title when it is larger than the text by so much. */
const MAX_SIZE = 1.1;
const MAX_CHARS = 120;
/** Turned pieces looked at; a page with more is a drawing. */
const MAX_TURNED = 20;
/** Words around a number that counts the pages; fewer are a title of their own. */
const MIN_LABEL_CHARS = 14;

/** A piece of text near the top or bottom of a page. */
export type Edge = {
  readonly fragment: Fragment;
  /** Its text without what changes from page to page. */
  readonly key: string;
  readonly numbers: readonly number[];
  readonly artifact: boolean;
};

export type EdgeRow = { readonly edges: readonly Edge[]; readonly y: number; readonly size: number };

/** Rows from the outermost in; `beyond` is the first row that is not looked at, if any. */
export type PageEdges = {
  readonly top: readonly EdgeRow[];
  readonly bottom: readonly EdgeRow[];
  /** Pieces in other directions, wherever they stand: watermarks, stamps in the margin. */
  readonly turned: readonly Edge[];
  /** Size of the page's text. */
  readonly size: number;
  readonly fragments: number;
};

/** `height`: from where to where the page reaches; `turned`: the fragments of other directions. */
export function edgesOf(
  fragments: readonly Fragment[],
  height: Extent,
  turned: readonly Fragment[] = [],
): PageEdges {
  const rows = rowsOf(fragments);
  const margin = MARGIN_SHARE * (height.high - height.low);
  const told = (row: Fragment[]): EdgeRow => {
    const y = row[0]?.y ?? 0;
    const inside = y > height.low + margin && y < height.high - margin;
    return {
      edges: inside || row.length > MAX_PIECES ? [] : row.map(edgeOf),
      y,
      size: Math.max(...row.map((one) => one.size)),
    };
  };
  const sizes = rows.map((row) => row[0]?.size ?? 0).sort((a, b) => a - b);
  return {
    // One more than may run: it shows whether the last of them stands apart.
    top: rows.slice(0, EDGE_ROWS + 1).map(told),
    bottom: rows
      .slice(-EDGE_ROWS - 1)
      .reverse()
      .map(told),
    size: sizes[Math.floor(sizes.length / 2)] ?? 0,
    turned: turned.slice(0, MAX_TURNED).map(edgeOf),
    fragments: fragments.length + turned.length,
  };
}

function edgeOf(fragment: Fragment): Edge {
  const { text } = fragment;
  if (text.length > MAX_CHARS) return { fragment, key: "", numbers: [], artifact: false };
  const artifact = fragment.runs.every((run) => run.artifact);
  const roman = ROMAN.test(text) ? romanValue(text.toLowerCase()) : null;
  if (roman !== null) return { fragment, key: "#", numbers: [roman], artifact };
  if (!/\d/.test(text)) return { fragment, key: text, numbers: [], artifact };
  const numbers = [...text.matchAll(/\d{1,9}/g)].map(([digits]) => Number(digits));
  return { fragment, key: text.replace(/\d{1,9}/g, "#").replace(/\s+/g, " "), numbers, artifact };
}

const ROMAN = /^[ivxl]{1,8}$/i;

function romanValue(text: string): number | null {
  const values = [...text].map((letter) => ({ i: 1, v: 5, x: 10, l: 50 })[letter] ?? 0);
  return values.reduce((sum, value, at) => sum + (value < (values[at + 1] ?? 0) ? -value : value), 0);
}

/** The fragments of a page that run. `near` holds the edges of the pages around it, by page number. */
export function runningOf(
  page: number,
  near: ReadonlyMap<number, PageEdges>,
  pages: number,
): ReadonlySet<Fragment> {
  const own = near.get(page);
  const running = new Set<Fragment>();
  if (own === undefined) return running;
  const others = [...near].filter(([number]) => number !== page && Math.abs(number - page) <= WINDOW);
  for (const edge of own.turned) {
    const agreeing = others.filter(([number, { turned }]) =>
      turned.some((other) => isSame(edge, other, number - page)),
    );
    if (agreeing.length >= MIN_AGREEING) running.add(edge.fragment);
  }
  for (const side of ["top", "bottom"] as const) {
    const agrees = (edge: Edge): boolean => {
      const agreeing = others.filter(([number, edges]) =>
        edges[side].some((row) => row.edges.some((other) => isSame(edge, other, number - page))),
      ).length;
      if (edge.artifact || (pages === 2 && isPageNumber(edge))) return agreeing >= 1;
      const large = edge.fragment.size > MAX_SIZE * own.size;
      return agreeing >= (large ? Math.max(MIN_AGREEING, LARGE_SHARE * others.length) : MIN_AGREEING);
    };
    for (const fragment of runsFromEdge(own[side], own.size, agrees)) running.add(fragment);
  }
  // A page that is nothing but such lines is a page of its own words.
  return running.size < own.fragments ? running : new Set();
}

/** From the outermost row inwards, as far as rows run and up to the last that stands apart from what follows. */
function runsFromEdge(
  rows: readonly EdgeRow[],
  size: number,
  agrees: (edge: Edge) => boolean,
): readonly Fragment[] {
  const found: Fragment[] = [];
  let waiting: Fragment[] = [];
  for (const [at, row] of rows.slice(0, EDGE_ROWS).entries()) {
    const running = row.edges.filter((edge) => mayRun(edge, row, size) && agrees(edge));
    // A row runs as a whole: the words beside a page number are the section's, and change with it.
    if (running.length === 0 || !mostly(running, row)) break;
    waiting.push(...row.edges.map((edge) => edge.fragment));
    const next = rows[at + 1];
    const apart =
      next === undefined || Math.abs(next.y - row.y) >= MIN_DISTANCE * Math.max(row.size, next.size);
    if (apart || row.edges.every((edge) => isPageNumber(edge) || edge.artifact)) {
      found.push(...waiting);
      waiting = [];
    }
  }
  return found;
}

/** Pieces that run are more than half of a row's pieces, or all but one. */
const mostly = (running: readonly Edge[], row: EdgeRow): boolean =>
  running.length * 2 >= row.edges.length && row.edges.length - running.length <= 1;

/** `7`, `- 7 -`, `Page 7 of 12`, `7/12`: the words for page in the languages of most documents. */
const PAGE_NUMBER = new RegExp(
  `^[^\\p{L}#]*(?:(?:${"page pages seite blatt p pg pag página pagina pàgina side sida strona str stránka стр страница sivu oldal sayfa halaman trang σελίδα صفحة עמוד 第"
    .split(" ")
    .join(
      "|",
    )})\\.?\\s?)?#\\s?(?:页|頁|ページ)?(?:\\s?(?:/|\\||of|von|de|di|sur|van|av|af|из|z|の|共)\\s?#)?[^\\p{L}#]*$`,
  "iu",
);

const isPageNumber = (edge: Edge): boolean => PAGE_NUMBER.test(edge.key);

function mayRun(edge: Edge, row: EdgeRow, size: number): boolean {
  if (edge.key === "") return false;
  return edge.numbers.length === 0 || row.size <= MAX_SIZE * size || isPageNumber(edge);
}

/** The same words at the same height; one number may differ, by as much as the pages do. */
function isSame(edge: Edge, other: Edge, pagesLater: number): boolean {
  if (edge.key !== other.key || Math.abs(edge.fragment.y - other.fragment.y) > HEIGHT_SHIFT) return false;
  const changed = edge.numbers.filter((number, at) => number !== other.numbers[at]);
  if (changed.length === 0) return edge.key !== "#";
  // "Question 3" on the third page is no page number.
  if (!isPageNumber(edge) && edge.key.length < MIN_LABEL_CHARS) return false;
  const place = edge.numbers.findIndex((number, at) => number !== other.numbers[at]);
  return changed.length === 1 && (other.numbers[place] ?? 0) - (edge.numbers[place] ?? 0) === pagesLater;
}
