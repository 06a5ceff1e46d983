// Finds the main content of a page without a tree: one pass over the parser's events that scores elements,
// after the idea of Readability (paragraphs vote for their ancestors, links and telling names count against).
// Cautious on purpose: where no element clearly holds the text, the whole body is kept less its navigation.
import { Parser } from "htmlparser2";
import { Failure } from "../failure/failure.ts";

const MAX_ELEMENTS = 2_000_000;
const MAX_DEPTH = 40_000;
/** Votes reach this many ancestors, with falling weight. */
const VOTE_DEPTH = 5;
/** The chosen element must hold this share of the text that is not navigation, or the body is kept. */
const MIN_SHARE = 0.5;
/** A block whose text is mostly links, with at least so many of them, is a menu. */
const MENU_LINK_SHARE = 0.6;
const MENU_LINKS = 5;
/** Less kept than this share of what was left out by its names alone: the names did not fit. */
const MIN_KEPT_OF_DOUBTED = 0.5;

const NEVER_TEXT = /^(script|style|noscript|template|head|svg|iframe|object|select|textarea|button|map)$/;
const BOILERPLATE_TAG = /^(nav|footer|aside|menu|dialog)$/;
const BOILERPLATE_ROLE =
  /^(navigation|banner|contentinfo|search|complementary|menu|menubar|dialog|alertdialog)$/;
const UNLIKELY =
  /(^|[-_ ])(nav(bar|igation)?|menu|sidebar|side-?bar|footer|foot|breadcrumbs?|share|sharing|social|comments?|disqus|cookies?|consent|banner|related|advert\w*|ads?|promo|popup|modal|subscribe|newsletter|pagination|pager|widget|toolbar|skip-?link|masthead|tags?|blog-?archive|rss|login|signup|sponsor)([-_ ]|\d|$)/i;
const LIKELY = /article|body|content|entry|main|post|text|story|column|page|hentry/i;
const PARAGRAPH = /^(p|pre|td|blockquote|li|dd|figcaption)$/;
const CONTAINER = /^(div|section|article|main|body|td|center|form|blockquote)$/;

export type MainContent = {
  readonly title: string | null;
  readonly decisions: readonly string[];
  /** Whether the text of the element with this index (in document order) is left out. */
  skips(index: number): boolean;
};

type Open = {
  readonly index: number;
  readonly parent: number;
  readonly name: string;
  readonly boilerplate: boolean;
  score: number;
  /** Characters of text below that are not in boilerplate, those of them in links, and the links. */
  chars: number;
  linkChars: number;
  links: number;
  commas: number;
};

type Candidate = {
  readonly index: number;
  readonly name: string;
  readonly score: number;
  readonly chars: number;
};

export async function findMainContent(chunks: AsyncIterable<string>): Promise<MainContent> {
  const survey = createSurvey();
  for await (const chunk of chunks) survey.write(chunk);
  return survey.end();
}

function createSurvey() {
  const open: Open[] = [];
  const boilerplate = new Set<number>();
  const certain = new Set<number>();
  const candidates: Candidate[] = [];
  const parents: number[] = [];
  let linkDepth = 0;
  let silent = 0;
  let outside = 0;
  let sure = 0;
  let left = 0;
  let doubted = 0;
  let total = 0;
  let title: string | null = null;

  const close = (element: Open): void => {
    const above = open.at(-1);
    if (isMenu(element) && element.chars > 0) {
      boilerplate.add(element.index);
      left += element.chars;
      return;
    }
    if (above !== undefined) {
      above.chars += element.chars;
      above.linkChars += element.linkChars;
      above.links += element.links;
      above.commas += element.commas;
    }
    const own = element.chars - element.linkChars;
    if (PARAGRAPH.test(element.name) && own >= 25) vote(open, 1 + element.commas + Math.min(own / 100, 3));
    if (CONTAINER.test(element.name) && element.chars > 0) {
      const links = element.linkChars / element.chars;
      candidates.push({ ...pick(element), score: element.score * (1 - links) });
    }
  };
  const parser = new Parser({
    onopentag(name, attributes) {
      const index = parents.length;
      if (index >= MAX_ELEMENTS) throw new Failure("extract.too-large", { facts: { elements: index } });
      if (open.length >= MAX_DEPTH) throw new Failure("extract.too-large", { facts: { depth: open.length } });
      parents.push(open.at(-1)?.index ?? -1);
      const out = silent === 0 && isBoilerplate(name, attributes, open);
      if (out) boilerplate.add(index);
      if (out && isCertain(name, attributes)) certain.add(index);
      if (certain.has(index)) sure += 1;
      if (out) outside += 1;
      if (out || NEVER_TEXT.test(name)) silent += 1;
      if (name === "a") linkDepth += 1;
      const weight =
        nameWeight(attributes) + (/^(article|main)$/.test(name) || attributes.role === "main" ? 40 : 0);
      open.push({
        index,
        parent: open.at(-1)?.index ?? -1,
        name,
        boilerplate: out,
        score: weight,
        chars: 0,
        linkChars: 0,
        links: name === "a" ? 1 : 0,
        commas: 0,
      });
    },
    ontext(data) {
      const element = open.at(-1);
      if (element === undefined) return;
      if (element.name === "title" && title === null && open.at(-2)?.name === "head") title = "";
      if (element.name === "title" && open.at(-2)?.name === "head") title = (title ?? "") + data;
      const chars = data.trim() === "" ? 0 : data.replace(/\s+/g, " ").length;
      if (silent > 0) {
        if (outside > 0) left += chars;
        if (outside > 0 && sure === 0) doubted += chars;
        return;
      }
      total += chars;
      element.chars += chars;
      if (linkDepth > 0) element.linkChars += chars;
      for (const char of data) if (char === "," || char === "，" || char === "、") element.commas += 1;
    },
    onclosetag(name) {
      const element = open.pop();
      if (element === undefined) return;
      if (element.boilerplate) outside -= 1;
      if (certain.has(element.index)) sure -= 1;
      if (element.boilerplate || NEVER_TEXT.test(name)) silent -= 1;
      if (name === "a") linkDepth -= 1;
      if (silent === 0 && !element.boilerplate) close(element);
    },
  });
  return {
    write: (chunk: string) => parser.write(chunk),
    end(): MainContent {
      parser.end();
      return conclude({ candidates, parents, boilerplate, certain, total, left, doubted, title });
    },
  };
}

type Findings = {
  readonly candidates: readonly Candidate[];
  readonly parents: readonly number[];
  readonly boilerplate: ReadonlySet<number>;
  /** Those of them that markup itself calls navigation or hidden, not merely their names. */
  readonly certain: ReadonlySet<number>;
  readonly total: number;
  readonly left: number;
  /** Of what is left out, the characters that only names speak against. */
  readonly doubted: number;
  readonly title: string | null;
};

function conclude(findings: Findings): MainContent {
  const { candidates, parents, boilerplate, certain, total, left, doubted } = findings;
  const clean = findings.title?.replace(/\s+/g, " ").trim() ?? "";
  const title = clean === "" ? null : clean;
  // A page that is mostly "boilerplate" was misread: its author names containers differently.
  if (total < doubted * MIN_KEPT_OF_DOUBTED)
    return { title, decisions: ["page kept whole"], skips: (index) => certain.has(index) };
  const best = candidates.reduce<Candidate | null>(
    (top, one) => (one.score > (top?.score ?? 20) ? one : top),
    null,
  );
  const chosen = best !== null && best.name !== "body" && best.chars >= total * MIN_SHARE ? best : null;
  const above = new Set<number>();
  for (let at = chosen?.index ?? -1; at >= 0; at = parents[at] ?? -1) above.add(at);
  const decisions: string[] = [];
  if (chosen !== null)
    decisions.push(`main content in <${chosen.name}> (${chosen.chars} of ${total + left} characters)`);
  else if (left > 0) decisions.push(`navigation left out (${left} of ${total + left} characters)`);
  return {
    title,
    decisions,
    skips(index) {
      if (boilerplate.has(index)) return true;
      if (chosen === null || above.has(index)) return false;
      // Beside the path to the chosen element everything is left out; below it everything stays.
      return above.has(parents[index] ?? -1) && (parents[index] ?? -1) !== chosen.index;
    },
  };
}

function vote(open: readonly Open[], score: number): void {
  for (let up = 1; up <= VOTE_DEPTH; up += 1) {
    const ancestor = open.at(-up);
    if (ancestor === undefined) return;
    ancestor.score += up === 1 ? score : score / (up === 2 ? 2 : up * 3);
  }
}

function pick(element: Open): { index: number; name: string; chars: number } {
  return { index: element.index, name: element.name, chars: element.chars };
}

function isMenu(element: Open): boolean {
  if (!/^(div|ul|ol|table|section|td|dl)$/.test(element.name) || element.links < MENU_LINKS) return false;
  return element.linkChars > element.chars * MENU_LINK_SHARE;
}

function nameWeight(attributes: Readonly<Record<string, string>>): number {
  const names = `${attributes.class ?? ""} ${attributes.id ?? ""}`;
  return (LIKELY.test(names) ? 25 : 0) - (UNLIKELY.test(names) ? 25 : 0);
}

function isBoilerplate(
  name: string,
  attributes: Readonly<Record<string, string>>,
  open: readonly Open[],
): boolean {
  if (name === "html" || name === "body" || name === "main" || name === "article")
    return isHidden(attributes);
  if (isHidden(attributes) || BOILERPLATE_TAG.test(name) || BOILERPLATE_ROLE.test(attributes.role ?? ""))
    return true;
  if (name === "header")
    return !open.some((up) => up.name === "article" || up.name === "main" || up.name === "section");
  const names = `${attributes.class ?? ""} ${attributes.id ?? ""}`;
  return (
    names.length > 1 &&
    UNLIKELY.test(names) &&
    !LIKELY.test(names) &&
    !/^(a|span|h[1-6]|p|td|tr|table)$/.test(name)
  );
}

function isCertain(name: string, attributes: Readonly<Record<string, string>>): boolean {
  return isHidden(attributes) || BOILERPLATE_TAG.test(name) || BOILERPLATE_ROLE.test(attributes.role ?? "");
}

function isHidden(attributes: Readonly<Record<string, string>>): boolean {
  if (attributes.hidden !== undefined || attributes["aria-hidden"] === "true") return true;
  return /display\s*:\s*none|visibility\s*:\s*hidden/i.test(attributes.style ?? "");
}
