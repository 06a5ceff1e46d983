// Text that goes unless it turns out to say something: the sign after a heading that links to it, the numbers
// beside lines of code. It is held back from where its element opens; the first thing that does not fit gives it
// all to the writer, as if nothing had been held.
import type { HtmlWriter } from "./writer.ts";

type Attributes = Readonly<Record<string, string>>;

type Held = {
  readonly depth: number;
  readonly rule: string;
  /** What may be in it. */
  readonly only: RegExp;
  readonly entered: { readonly name: string; readonly attributes: Attributes }[];
  text: string;
};

const WITHIN = new Set("a span i b em small pre div code br img".split(" "));
const ANCHOR = /^[^\p{L}\p{N}]{0,4}$/u;
const NUMBERS = /^[\d\s]*$/;
/** As Pygments, Rouge, highlight.js, Prism, SyntaxHighlighter, Crayon and the forges name them. */
const NUMBERED =
  /(^|\s)(line-?nos?|lineno\w*|line-?numbers?(-rows)?|hljs-ln-numbers|blob-num\S*|rouge-gutter|gutter(-\S+)?|crayon-nums?(-\S+)?|ln-num|td-lineno)(?=\s|$)/i;
/** Most that is held: the numbers of a very long listing. */
const MAX_HELD = 100_000;

export type HeldText = {
  readonly open: boolean;
  /** Whether the element belongs to what is held, so that the writer does not hear of it. */
  enter(name: string, attributes: Attributes, depth: number): boolean;
  text(text: string): void;
  /** The same for its end. */
  leave(depth: number): boolean;
  release(): void;
};

export function createHeldText(writer: HtmlWriter, count: (rule: string, text: string) => void): HeldText {
  let held: Held | null = null;
  const release = (): void => {
    if (held === null) return;
    const { entered, text } = held;
    held = null;
    for (const { name, attributes } of entered) writer.enter(name, attributes);
    writer.text(text);
  };
  return {
    get open() {
      return held !== null;
    },
    enter(name, attributes, depth) {
      if (held !== null && WITHIN.has(name)) {
        held.entered.push({ name, attributes });
        return true;
      }
      release();
      const rule = ruleOf(name, attributes, writer);
      if (rule === null) return false;
      const only = rule === "heading anchors" ? ANCHOR : NUMBERS;
      held = { depth, rule, only, entered: [{ name, attributes }], text: "" };
      return true;
    },
    text(text) {
      if (held === null) return writer.text(text);
      held.text += text;
      if (!held.only.test(text) || held.text.length > MAX_HELD) release();
    },
    leave(depth) {
      if (held === null) return false;
      if (depth > held.depth) {
        held.entered.pop();
        return true;
      }
      count(held.rule, held.text);
      held = null;
      return true;
    },
    release,
  };
}

function ruleOf(name: string, attributes: Attributes, writer: HtmlWriter): string | null {
  if (name === "a" && writer.inHeading) return "heading anchors";
  const { class: names = "" } = attributes;
  if (names === "" || !NUMBERED.test(names)) return null;
  return writer.inCode || /^(td|th|pre|div|span)$/.test(name) ? "line numbers" : null;
}
