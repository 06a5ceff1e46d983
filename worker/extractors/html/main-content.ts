// Decides which elements of a page hold what it says, from the survey of the whole page.
// When in doubt text is kept: a lost paragraph is worse than a kept menu. So an element is left out for its names
// only where the page can do without its sentences, and beside the main part whatever holds sentences stays.
// That sentences outside of links mark the text is the insight of jusText and Readability; the measures are ours.
import type { Block } from "../cut-segments.ts";
import type { Rule, Sign } from "./signs.ts";
import { type Sums, sumSubtrees } from "./sums.ts";
import type { PageSurvey, Surveyed } from "./survey.ts";

/** Below this much prose, ink outside of links is what counts: a page of a few words, a table, a price. */
const MIN_PROSE = 140;
/** An element with more than this share of what the page says is no boilerplate, whatever it calls itself. */
const VETO_SHARE = { sure: 0.5, named: 0.35, perhaps: 0.15 } as const;
/** The same for a page without prose, where a menu may well have more letters than the text. */
const VETO_INK_SHARE = { sure: 0.9, named: 0.75, perhaps: 0.4 } as const;
/** What is perhaps boilerplate may take this much prose with it: a teaser's sentence, not a paragraph. */
const PERHAPS_PROSE = 150;
/** The main part is the deepest element with this share of what the page says. */
const MAIN_SHARE = 0.9;
const TABLE_PART = /^(table|tbody|tr|td)$/;
const LAYOUT_PARAGRAPHS = 3;
/** `<main>` is believed from this share on. */
const SAID_MAIN_SHARE = 0.6;
/** Beside the main part this much prose is kept: a paragraph, not a teaser. */
const BESIDE_PROSE = 100;
/** Signs of small things: what has more prose than this is something else. */
const SMALL: ReadonlySet<Rule> = new Set([
  "sharing",
  "breadcrumbs",
  "edit links",
  "search",
  "sign-up",
  "dialog",
  "cookie notice",
]);
const SMALL_PROSE = 600;
/** Comments are left out of an article, and kept where the rest says little: a discussion is its comments. */
const MIN_BESIDE_COMMENTS = 600;
/** A block whose ink is mostly links, with at least so many of them, is a menu. */
const MENU_LINK_SHARE = 0.7;
const MENU_LINKS = 4;
/** Ink of its links on average: entries of menus are words, entries of a list in a text are titles and sentences. */
const MENU_ENTRY = 40;
const MENU_TAGS = new Set("div ul ol dl section table td p span form center aside".split(" "));
const CONTAINERS = new Set("body div section article main td center form font table tr tbody".split(" "));

/** Why an element's text is left out. */
export type LeftOut = Rule | "menu" | "beside the main content";

export type MainContent = {
  /** What the page is called. */
  readonly title: string | null;
  /** The outermost heading where what is kept has none of level 1: as text where the page shows it. */
  readonly heading: Block | null;
  readonly decisions: readonly string[];
  /** Why the element with this index (in document order) is left out, or null. Below such elements nobody asks. */
  leaves(index: number): LeftOut | null;
};

export function chooseMainContent(survey: PageSurvey): MainContent {
  const { elements } = survey;
  const out = new Map<number, LeftOut>();
  const drawnTwice = (sign: Sign): boolean => sign.rule !== "drawn formulas" || survey.texScripts;
  leaveSigned(elements, out, (sign) => sign.weight === "sure" && drawnTwice(sign));
  leaveSigned(elements, out, (sign) => sign.weight !== "sure");
  leaveMenus(elements, out);
  const main = findMain(elements, out);
  if (main !== null) leaveBeside(main, elements, out);
  return {
    ...headingOf(survey, out),
    decisions: main === null ? [] : [`main content in <${elements[main]?.name}>`],
    leaves: (index) => out.get(index) ?? null,
  };
}

/** Leaves out, from the outside in, what signs speak against and the page can do without. */
function leaveSigned(
  elements: readonly Surveyed[],
  out: Map<number, LeftOut>,
  asked: (sign: Sign) => boolean,
): void {
  const said = worth(sumSubtrees(elements, out));
  for (const [index, { sign }] of standing(elements, out)) {
    if (sign === null || !asked(sign)) continue;
    const own = said.of(index);
    const much = own > said.veto[sign.weight] * said.total;
    const discussed = sign.rule === "comments" && said.total - own < MIN_BESIDE_COMMENTS;
    if (much && (sign.rule !== "comments" || discussed)) continue;
    if (!much && sign.weight !== "sure" && own > mostProse(sign)) continue;
    out.set(index, sign.rule);
  }
}

function mostProse({ weight, rule }: Sign): number {
  if (weight === "perhaps") return PERHAPS_PROSE;
  return SMALL.has(rule) ? SMALL_PROSE : Number.POSITIVE_INFINITY;
}

function leaveMenus(elements: readonly Surveyed[], out: Map<number, LeftOut>): void {
  const { ink, linkInk, links, total } = sumSubtrees(elements, out);
  for (const [index, { name }] of standing(elements, out)) {
    const all = ink[index] ?? 0;
    const linked = linkInk[index] ?? 0;
    const entries = links[index] ?? 0;
    if (!MENU_TAGS.has(name) || entries < MENU_LINKS) continue;
    if (linked < all * MENU_LINK_SHARE || linked > entries * MENU_ENTRY) continue;
    // A page that is a list of links is that list.
    if (all <= total.ink * 0.5) out.set(index, "menu");
  }
}

/** The elements that are not left out, nor below one that is; those left out on the way count at once. */
function* standing(
  elements: readonly Surveyed[],
  out: ReadonlyMap<number, LeftOut>,
): Generator<readonly [number, Surveyed]> {
  const gone = new Uint8Array(elements.length);
  for (const [index, element] of elements.entries()) {
    const below = gone[element.parent] === 1;
    if (!below && !out.has(index)) yield [index, element];
    if (below || out.has(index)) gone[index] = 1;
  }
}

/** The deepest container with nearly all that the page says; null where that is the whole page. */
function findMain(elements: readonly Surveyed[], out: ReadonlyMap<number, LeftOut>): number | null {
  const sums = sumSubtrees(elements, out);
  const said = worth(sums);
  if (said.total === 0) return null;
  let { total } = said;
  let found = -1;
  for (const [index, { main }] of standing(elements, out)) {
    if (!main || said.of(index) < total * SAID_MAIN_SHARE) continue;
    found = index;
    total = said.of(index);
  }
  for (const [index, { name, sign }] of standing(elements, out)) {
    if (index < found || said.of(index) < total * MAIN_SHARE) continue;
    // What is kept against its own sign is not what the rest is measured by.
    if (sign !== null) break;
    // One long cell does not make a table a layout.
    if (TABLE_PART.test(name) && (sums.paragraphs[index] ?? 0) < LAYOUT_PARAGRAPHS) break;
    if (CONTAINERS.has(name)) found = index;
  }
  return found < 0 || elements[found]?.name === "body" ? null : found;
}

function leaveBeside(main: number, elements: readonly Surveyed[], out: Map<number, LeftOut>): void {
  const sums = sumSubtrees(elements, out);
  const path = new Set<number>();
  for (let at = main; at >= 0; at = elements[at]?.parent ?? -1) path.add(at);
  path.delete(main);
  const talks = new Set<number>();
  for (const [index, { parent }] of elements.entries())
    if (path.has(parent) && !path.has(index) && index !== main && (sums.prose[index] ?? 0) > BESIDE_PROSE)
      talks.add(parent);
  for (const [index, { parent, name }] of elements.entries()) {
    if (!path.has(parent) || path.has(index) || index === main || out.has(index)) continue;
    // Few words without a link are a line of the text as often as not; what stands around a text leads elsewhere.
    if ((sums.prose[index] ?? 0) > BESIDE_PROSE || sums.links[index] === 0) continue;
    if (talks.has(parent) && /^(h[1-6]|p|pre|blockquote|table)$/.test(name)) continue;
    out.set(index, "beside the main content");
  }
}

/** What the page says, in prose where there is some, else in ink outside of links. */
function worth(sums: Sums): {
  readonly total: number;
  readonly veto: Readonly<Record<Sign["weight"], number>>;
  of(index: number): number;
} {
  const { prose, ink, linkInk, total } = sums;
  if (total.prose >= MIN_PROSE)
    return { total: total.prose, veto: VETO_SHARE, of: (index) => prose[index] ?? 0 };
  const of = (index: number): number => (ink[index] ?? 0) - (linkInk[index] ?? 0);
  return { total: total.ink - total.linkInk, veto: VETO_INK_SHARE, of };
}

function headingOf(
  survey: PageSurvey,
  out: ReadonlyMap<number, LeftOut>,
): { title: string | null; heading: Block | null } {
  const { title, titles, elements } = survey;
  const goneBy = (index: number): LeftOut | undefined => {
    let rule: LeftOut | undefined;
    for (let at = index; at >= 0; at = elements[at]?.parent ?? -1) rule ??= out.get(at);
    return rule;
  };
  const filled = titles
    .filter(({ text }) => text !== "")
    .map(({ text, index }) => ({ text, rule: goneBy(index) }));
  if (title === null || filled.some(({ rule }) => rule === undefined)) return { title, heading: null };
  // A heading of level 1 outside of the main part is the page's where it says what the title says, or where it is
  // the only one and no part of a header or menu; else it is the site's.
  const shown =
    filled.find(({ text }) => title.toLowerCase().includes(text.toLowerCase())) ??
    filled.find(({ rule }) => filled.length === 1 && rule === "beside the main content");
  if (shown !== undefined) return { title, heading: { kind: "heading", level: 0, text: shown.text } };
  // A text without such a heading is headed by its title; a page of a few words just belongs below it.
  const headed = sumSubtrees(elements, out).total.prose >= MIN_PROSE;
  return { title, heading: { kind: headed ? "heading" : "section", level: 0, text: title } };
}
