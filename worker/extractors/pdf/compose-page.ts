// A page's runs to its lines in reading order: by the document's own tags where they cover the page, else by
// geometry; running headers and footers are left out, text of other directions follows the page's own.
import { isRightToLeft } from "./compose-text.ts";
import { fillEmptyCells } from "./empty-cells.ts";
import { type Fragment, fragmentsOf } from "./fragments.ts";
import { linesOfRegion, type PdfLine } from "./lines.ts";
import { orderFragments } from "./reading-order.ts";
import { type Extent, heightOf, type PageRuns, type Run } from "./runs.ts";
import { markRows } from "./tables.ts";
import type { TagPlace } from "./tags.ts";

/** Share of a page's characters that tags must place for their order to be believed. */
const TRUSTED_SHARE = 0.7;

export type PageDraft = {
  /** How far the page reaches across the lines of its own direction. */
  readonly height: Extent;
  /** The page's own direction first. */
  readonly frames: readonly (readonly Fragment[])[];
  readonly tags: ReadonlyMap<string, TagPlace>;
  readonly tagged: boolean;
  readonly doubled: number;
};

export type ComposedPage = {
  readonly lines: readonly PdfLine[];
  readonly columns: number;
  /** Lines that run in another direction than most of the page. */
  readonly turned: number;
};

export type PageFacts = {
  /** The page's box before it is turned: left, bottom, right and top. */
  readonly view: readonly number[];
  readonly tags: ReadonlyMap<string, TagPlace>;
  /** The document says that its tags may be wrong. */
  readonly suspect: boolean;
};

export function draftPage(runs: PageRuns, { view, tags, suspect }: PageFacts): PageDraft {
  const tagged = !suspect && areTrusted(runs.frames[0]?.runs ?? [], tags);
  const placeOf = (run: Run): TagPlace | undefined => (run.mark === null ? undefined : tags.get(run.mark));
  const barrier = (one: Run, other: Run): boolean => {
    const [a, b] = [placeOf(one), placeOf(other)];
    return a?.block !== b?.block || a?.cell !== b?.cell;
  };
  return {
    height: heightOf(view, runs.frames[0]?.angle ?? 0),
    frames: runs.frames.map((frame, at) => fragmentsOf(frame.runs, tagged && at === 0 ? barrier : undefined)),
    tags,
    tagged,
    doubled: runs.doubled,
  };
}

function areTrusted(runs: readonly Run[], tags: ReadonlyMap<string, TagPlace>): boolean {
  if (tags.size === 0) return false;
  let all = 0;
  let placed = 0;
  for (const { text, mark, artifact } of runs) {
    if (artifact) continue;
    all += text.length;
    if (mark !== null && tags.has(mark)) placed += text.length;
  }
  return placed >= TRUSTED_SHARE * all;
}

export function composePage(
  draft: PageDraft,
  running: ReadonlySet<Fragment>,
  isGarbled: (font: string) => boolean,
): ComposedPage {
  const lines: PdfLine[] = [];
  let columns = 1;
  let turned = 0;
  let block = 0;
  for (const [at, frame] of draft.frames.entries()) {
    const kept = frame.filter((fragment) => !running.has(fragment));
    const parts = at === 0 && draft.tagged ? byTags(kept, draft.tags) : [{ fragments: kept, place: null }];
    for (const { fragments, place } of parts) {
      const composed = composePart(fragments, place, block, draft.tags, isGarbled);
      columns = Math.max(columns, composed.columns);
      block += composed.regions;
      if (at > 0) turned += composed.lines.length;
      lines.push(...(at === 0 ? composed.lines : composed.lines.map((line) => ({ ...line, frame: at }))));
    }
  }
  return { lines: fillEmptyCells(lines), columns, turned };
}

type Part = { readonly fragments: readonly Fragment[]; readonly place: TagPlace | null };

/** Blocks in the order of the tags; what has none comes first when it stands above them all, else last. */
function byTags(fragments: readonly Fragment[], tags: ReadonlyMap<string, TagPlace>): Part[] {
  const blocks = new Map<number, { fragments: Fragment[]; place: TagPlace }>();
  const rest: Fragment[] = [];
  let top = Number.NEGATIVE_INFINITY;
  for (const fragment of fragments) {
    const place = placeOf(fragment, tags);
    if (place === null) {
      rest.push(fragment);
      continue;
    }
    top = Math.max(top, fragment.y);
    const block = blocks.get(place.block) ?? { fragments: [], place };
    blocks.set(place.block, block);
    block.fragments.push(fragment);
  }
  const ordered: Part[] = [...blocks].sort((a, b) => a[0] - b[0]).map(([, block]) => block);
  if (rest.length === 0) return ordered;
  const loose: Part = { fragments: rest, place: null };
  return rest.every((fragment) => fragment.y > top) ? [loose, ...ordered] : [...ordered, loose];
}

function placeOf(fragment: Fragment, tags: ReadonlyMap<string, TagPlace>): TagPlace | null {
  for (const { mark } of fragment.runs) {
    const place = mark === null ? undefined : tags.get(mark);
    if (place !== undefined) return place;
  }
  return null;
}

function composePart(
  fragments: readonly Fragment[],
  place: TagPlace | null,
  first: number,
  tags: ReadonlyMap<string, TagPlace>,
  isGarbled: (font: string) => boolean,
): { lines: PdfLine[]; columns: number; regions: number } {
  if (place !== null && place.cell !== null)
    return { lines: rowOf(fragments, first, tags, isGarbled), columns: 1, regions: 1 };
  const rtl = isRightToLeft(fragments.map((fragment) => fragment.text));
  const { regions, columns } = orderFragments(fragments, rtl);
  const lines = regions.flatMap((region, at) => {
    const tagLevel = place?.level ?? levelOf(region, tags);
    return linesOfRegion(region, { block: first + (place === null ? at : 0), tagLevel }, isGarbled);
  });
  return { lines: place === null ? markRows(lines) : lines, columns, regions: regions.length };
}

/** Tags whose order is not believed may still name a heading. */
function levelOf(region: readonly Fragment[], tags: ReadonlyMap<string, TagPlace>): number | null {
  if (tags.size === 0 || region.length > 3) return null;
  const levels = region.map((fragment) => placeOf(fragment, tags)?.level ?? null);
  return levels.every((level) => level === levels[0]) ? (levels[0] ?? null) : null;
}

/** A table's row by its tags: each cell's lines as one text. */
function rowOf(
  fragments: readonly Fragment[],
  block: number,
  tags: ReadonlyMap<string, TagPlace>,
  isGarbled: (font: string) => boolean,
): PdfLine[] {
  const cells = new Map<number, Fragment[]>();
  for (const fragment of fragments) {
    const cell = placeOf(fragment, tags)?.cell ?? 0;
    cells.set(cell, [...(cells.get(cell) ?? []), fragment]);
  }
  const composed = [...cells]
    .sort((a, b) => a[0] - b[0])
    .map(([, own]) => linesOfRegion(own, { block }, isGarbled))
    .filter((lines) => lines.length > 0);
  const first = composed[0]?.[0];
  if (first === undefined) return [];
  const told = composed.map((lines) => ({
    x: lines[0]?.x ?? 0,
    right: lines[0]?.right ?? 0,
    text: lines.map((line) => line.text).join(" "),
  }));
  const unreadable = composed.every((lines) => lines.every((line) => line.unreadable));
  return [{ ...first, cells: told, text: told.map((cell) => cell.text).join(" "), row: true, unreadable }];
}
