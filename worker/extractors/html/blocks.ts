// HTML events to blocks: paragraphs, list items, table rows, headings, code, formulas. Nothing recursive: the
// parser's stack is an array, so 20,000 nested elements are a matter of memory only.
// What is left out is counted under the name of the rule that left it out. Which rules hold for whole elements is
// the caller's decision: pages have boilerplate, Markdown and books have none.
import { Parser } from "htmlparser2";
import { Failure } from "../../failure/failure.ts";
import type { Block } from "../cut-segments.ts";
import { createMathReader, dress, type MathReader } from "../mathml.ts";
import { countInk, type HtmlElement, isNoText, MAX_HTML_DEPTH, NEVER_TEXT, noTextRule } from "./elements.ts";
import { createHeldText } from "./held-text.ts";
import { createHtmlWriter } from "./writer.ts";

export type HtmlBlocks = {
  write(html: string): void;
  end(): void;
  /** Characters that were left out, white space aside, by the rule that did it. */
  readonly leftOut: ReadonlyMap<string, number>;
};

export type HtmlOptions = {
  /** The rule by which an element is left out, or null; asked in document order, and not below such elements. */
  readonly leaves?: (element: HtmlElement) => string | null;
  /** XHTML, where `<script/>` and `<a/>` are closed. */
  readonly selfClosing?: boolean;
  /** Whether this is the inside of a `noframes` already. */
  readonly unframed?: boolean;
};

/** What stands below the element at `depth` is not read as HTML. */
type Aside =
  | { readonly depth: number; readonly kind: "left out"; readonly rule: string | null }
  | { readonly depth: number; readonly kind: "formula"; readonly reader: MathReader }
  | { readonly depth: number; readonly kind: "tex"; readonly display: string; text: string }
  /** The parser gives as text what it would show without frames. */
  | { readonly depth: number; readonly kind: "page"; html: string };

type Attributes = Readonly<Record<string, string>>;

/** Feeds blocks to `emit` as they close. Throws `extract.too-large` for nesting that no page has. */
export function createHtmlBlocks(emit: (block: Block) => void, options: HtmlOptions = {}): HtmlBlocks {
  const leftOut = new Map<string, number>();
  const count = (rule: string, text: string): void => {
    const ink = countInk(text);
    if (ink > 0) leftOut.set(rule, (leftOut.get(rule) ?? 0) + ink);
  };
  const writer = createHtmlWriter(emit);
  const held = createHeldText(writer, count);
  let depth = 0;
  let index = -1;
  let aside: Aside | null = null;
  let unread = false;

  const enter = (name: string, attributes: Attributes): void => {
    const rule = ruleFor(name, attributes);
    if (rule !== undefined) {
      // Even what is left out ends a paragraph where a block would.
      if (!held.open) writer.gap(name);
      aside = { depth, kind: "left out", rule };
    } else if (!held.enter(name, attributes, depth)) {
      if (name === "img") writer.piece(formulaOf(attributes));
      else writer.enter(name, attributes);
    }
  };
  const ruleFor = (name: string, attributes: Attributes): string | null | undefined => {
    if (NEVER_TEXT.has(name) && attributes.shadowrootmode === undefined) return noTextRule(name);
    if (name === "button" && !writer.inHeading && attributes["aria-expanded"] === undefined)
      return "form fields";
    return options.leaves?.({ index, name, attributes }) ?? undefined;
  };
  const endAside = (ended: Aside): void => {
    if (ended.kind === "formula") writer.piece(ended.reader.end());
    if (ended.kind === "page") {
      writer.end();
      const inner = createHtmlBlocks(emit, { unframed: true });
      inner.write(ended.html);
      inner.end();
    }
    if (ended.kind === "tex") writer.piece(dress(ended.text.trim(), { display: ended.display }));
  };

  const parser = new Parser(
    {
      onopentag(name, attributes) {
        index += 1;
        if (depth >= MAX_HTML_DEPTH) throw new Failure("extract.too-large", { facts: { depth } });
        if (aside?.kind === "formula") aside.reader.open(name, attributes);
        else if (aside === null) {
          const type = attributes.type ?? "";
          if (name === "math" && ruleFor(name, attributes) === undefined) {
            held.release();
            aside = { depth, kind: "formula", reader: createMathReader(attributes) };
          } else if (name === "script" && /^math\/tex/i.test(type)) {
            held.release();
            aside = { depth, kind: "tex", display: /display/i.test(type) ? "block" : "inline", text: "" };
          } else if (name === "noframes" && !options.unframed) aside = { depth, kind: "page", html: "" };
          else enter(name, attributes);
        } else if (isNoText(name)) unread = true;
        depth += 1;
      },
      ontext(text) {
        if (aside === null) held.text(text);
        else if (aside.kind === "formula") aside.reader.text(text);
        else if (aside.kind === "tex") aside.text += text;
        else if (aside.kind === "page") aside.html += text;
        else if (aside.rule !== null && !unread) count(aside.rule, text);
      },
      onclosetag(name) {
        depth -= 1;
        if (unread && isNoText(name)) unread = false;
        if (aside !== null && depth > aside.depth) {
          if (aside.kind === "formula") aside.reader.close();
        } else if (aside !== null) {
          endAside(aside);
          aside = null;
        } else if (!held.leave(depth)) writer.leave(name);
      },
    },
    { recognizeSelfClosing: options.selfClosing ?? false },
  );
  return {
    write: (html) => parser.write(html),
    end() {
      parser.end();
      held.release();
      writer.end();
    },
    leftOut,
  };
}

/** Formulas that a site draws as pictures keep their TeX in `alt`. */
function formulaOf({ class: names = "", alt = "" }: Attributes): string {
  if (!/(^|[\s_-])(tex|latex|math)/i.test(names) || /fallback/i.test(names) || alt === "") return "";
  return /^\$.*\$$/.test(alt) ? alt : dress(alt, {});
}
