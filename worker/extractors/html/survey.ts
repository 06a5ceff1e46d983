// The first pass over a page: a flat table of its elements with what their text is made of. No tree: an element
// knows its parent's index, and parents come before their children.
import { type Handler, Parser } from "htmlparser2";
import { Failure } from "../../failure/failure.ts";
import { BLOCK, countInk, MAX_HTML_DEPTH, NEVER_TEXT } from "./elements.ts";
import { type Sign, signOf } from "./signs.ts";

/** About 100 bytes each. What comes later is read without a look at the whole: such a file is no page with menus. */
const MAX_ELEMENTS = 400_000;
/** A run of text between two block borders is prose from this ink on: about ten words, or one sentence. */
const PROSE_INK = 45;
/** Ideographs and kana say in one character what takes Latin letters three. */
const WIDE = 3;
const MAX_TITLES = 20;
const MAX_TITLE_CHARS = 300;

export type Surveyed = {
  readonly name: string;
  /** -1 for the outermost. */
  readonly parent: number;
  readonly sign: Sign | null;
  /** `role=main`, or the element itself. */
  readonly main: boolean;
  /** Characters of its own text that are no white space, and those of them in links; 1 for a link. */
  ink: number;
  linkInk: number;
  readonly links: number;
  /** Ink of whole sentences outside of links, here and in inline elements below: what would be lost without it. */
  prose: number;
  /** In how many paragraphs that is. */
  paragraphs: number;
};

export type PageSurvey = {
  readonly elements: readonly Surveyed[];
  readonly title: string | null;
  /** Its first headings of level 1. */
  readonly titles: readonly { readonly index: number; readonly text: string }[];
  /** Formulas stand as TeX in scripts (MathJax 2), so what it drew of them says them again. */
  readonly texScripts: boolean;
  readonly formulas: boolean;
};

/** Reads the page once. Throws `extract.too-large` for nesting that no page has. */
export async function surveyPage(
  chunks: AsyncIterable<string> | Iterable<string>,
  options: { readonly selfClosing?: boolean } = {},
): Promise<PageSurvey> {
  const survey = createSurvey(options.selfClosing ?? false);
  for await (const chunk of chunks) survey.write(chunk);
  return survey.end();
}

function createSurvey(selfClosing: boolean) {
  const elements: Surveyed[] = [];
  const open: number[] = [];
  const titles: { index: number; text: string }[] = [];
  const run = { ink: 0, weight: 0, linkInk: 0 };
  let count = 0;
  let silent = 0;
  let links = 0;
  let scopes = 0;
  let inTitle = false;
  let titleOpen = false;
  let title = "";
  let shareTitle = "";
  let texScripts = false;
  let formulas = false;

  const endRun = (owner: Surveyed | undefined): void => {
    if (owner !== undefined && run.weight >= PROSE_INK && run.linkInk * 2 < run.ink) {
      owner.prose += run.ink - run.linkInk;
      owner.paragraphs += 1;
    }
    run.ink = 0;
    run.weight = 0;
    run.linkInk = 0;
  };
  const events: Partial<Handler> = {
    onopentag(name, attributes) {
      const index = count;
      count += 1;
      if (open.length >= MAX_HTML_DEPTH)
        throw new Failure("extract.too-large", { facts: { depth: open.length } });
      if (name === "script" && /^math\/tex/i.test(attributes.type ?? "")) texScripts = true;
      if (name === "math") formulas = true;
      if (name === "meta" && attributes.property === "og:title") shareTitle ||= attributes.content ?? "";
      if (name === "title" && silent === 0 && title === "") inTitle = true;
      const parent = open.at(-1) ?? -1;
      if (BLOCK.has(name)) endRun(elements[parent]);
      open.push(index);
      if (NEVER_TEXT.has(name)) silent += 1;
      if (name === "a") links += 1;
      if (isScope(name)) scopes += 1;
      if (index >= MAX_ELEMENTS) return;
      elements.push({
        name,
        parent: Math.min(parent, MAX_ELEMENTS - 1),
        sign: silent > 0 ? null : signOf({ index, name, attributes }, scopes > (isScope(name) ? 1 : 0)),
        main: name === "main" || attributes.role === "main",
        ink: 0,
        linkInk: 0,
        links: name === "a" ? 1 : 0,
        prose: 0,
        paragraphs: 0,
      });
      if (name !== "h1" || titles.length >= MAX_TITLES) return;
      titles.push({ index, text: "" });
      titleOpen = true;
    },
    ontext(text) {
      if (inTitle && title.length < MAX_TITLE_CHARS) title += text;
      const owner = elements[open.at(-1) ?? 0];
      if (silent > 0 || owner === undefined) return;
      const ink = countInk(text);
      owner.ink += ink;
      run.ink += ink;
      run.weight += ink + (WIDE - 1) * countWide(text);
      if (links > 0) owner.linkInk += ink;
      if (links > 0) run.linkInk += ink;
      const heading = titles.at(-1);
      if (heading !== undefined && titleOpen && heading.text.length < MAX_TITLE_CHARS) heading.text += text;
    },
    onclosetag(name) {
      if (BLOCK.has(name)) endRun(elements[open.at(-1) ?? -1]);
      const index = open.pop();
      if (index === undefined) return;
      if (NEVER_TEXT.has(name)) silent -= 1;
      if (name === "a") links -= 1;
      if (name === "title") inTitle = false;
      if (name === "h1") titleOpen = false;
      if (isScope(name)) scopes -= 1;
    },
  };
  const parser = new Parser(events, { recognizeSelfClosing: selfClosing });
  return {
    write: (chunk: string) => parser.write(chunk),
    end(): PageSurvey {
      parser.end();
      const said = tidy(title);
      // What a page calls itself when it is shared comes without the name of its site.
      const shared = tidy(shareTitle);
      return {
        elements,
        title: shared !== "" && (said === "" || said.includes(shared)) ? shared : said === "" ? null : said,
        titles: titles.map(({ index, text }) => ({ index, text: tidy(text) })),
        texScripts,
        formulas,
      };
    },
  };
}

/** A `<header>` or `<footer>` below one of these is its own, not the page's. */
function isScope(name: string): boolean {
  return name === "article" || name === "section" || name === "main" || name === "blockquote";
}

function countWide(text: string): number {
  let wide = 0;
  for (let at = 0; at < text.length; at += 1) if (text.charCodeAt(at) >= 0x2e80) wide += 1;
  return wide;
}

function tidy(text: string): string {
  return text.replace(/\s+/g, " ").trim().slice(0, MAX_TITLE_CHARS);
}
