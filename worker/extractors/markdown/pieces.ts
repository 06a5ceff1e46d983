// Cuts a Markdown source into pieces that can be rendered alone: at headings (else blank lines) outside of code
// fences, once a piece is long enough. Front matter comes off the first piece, and what would cost the renderer
// more than linear time is kept from it: it looks for the end of each bracket and emphasis through the paragraph.

/** UTF-16 units after which a heading ends the piece, and after which any blank line does. */
const SOFT_CHARS = 1 << 16;
const HARD_CHARS = 1 << 18;
/** A paragraph is cut after this much: 128 K of `[` in one took 11 s, in paragraphs of 32 K a tenth of that. */
export const MAX_PARAGRAPH = 1 << 15;
/** More open brackets in a paragraph are no links: they are rendered as the characters they are. */
const MAX_OPEN_BRACKETS = 100;
const MAX_FRONT_MATTER_LINES = 500;
/** Nesting that nobody writes by hand but that costs the renderer its stack, or the text its place. */
const MAX_QUOTES = 20;
const MAX_INDENT = 120;

export type MarkdownPiece = { readonly frontMatter: readonly string[]; readonly text: string };

export function* cutMarkdown(source: Iterable<string>): Generator<MarkdownPiece> {
  let lines: string[] = [];
  let frontMatter: string[] = [];
  let chars = 0;
  let paragraph = 0;
  let brackets = 0;
  let fence: string | null = null;
  let maybeFrontMatter: string | null = null;
  let number = 0;
  for (const given of source) {
    const whole = flatten(given);
    number += 1;
    if (number === 1 && /^(-{3}|\+{3})\s*$/.test(whole)) maybeFrontMatter = whole.trim();
    else if (maybeFrontMatter !== null && (whole.trim() === maybeFrontMatter || whole.trim() === "...")) {
      frontMatter = lines.slice(1);
      lines = [];
      chars = 0;
      maybeFrontMatter = null;
      continue;
    }
    // A rule at the top of a long text is no front matter.
    if (number > MAX_FRONT_MATTER_LINES) maybeFrontMatter = null;
    for (const line of fence === null ? cutLine(whole) : [whole]) {
      const long = fence === null && paragraph + line.length > MAX_PARAGRAPH && !/^\s*[<|]/.test(line);
      const ends = fence === null && maybeFrontMatter === null && lines.length > 0;
      if (ends && (long || mayCut(line, chars))) {
        yield { frontMatter, text: lines.join("\n") };
        frontMatter = [];
        lines = [];
        chars = 0;
        paragraph = 0;
        brackets = 0;
      }
      const blank = line.trim() === "";
      paragraph = blank ? 0 : paragraph + line.length;
      brackets = blank || fence !== null ? 0 : brackets + unclosed(line);
      fence = fenceAfter(line, fence);
      lines.push(fence === null && brackets > MAX_OPEN_BRACKETS ? line.replace(/\\?\[/g, "\\[") : line);
      chars += line.length + 1;
    }
  }
  yield { frontMatter, text: lines.join("\n") };
}

function mayCut(line: string, chars: number): boolean {
  if (chars > SOFT_CHARS && /^#{1,6}[ \t]/.test(line)) return true;
  return chars > HARD_CHARS && line.trim() === "";
}

/** The mark of the code fence that is open after this line. */
function fenceAfter(line: string, fence: string | null): string | null {
  const mark = /^[ \t>]*(`{3,}|~{3,})(.*)$/.exec(line);
  if (mark === null) return fence;
  const [, ticks = "", rest = ""] = mark;
  if (fence === null) return ticks.startsWith("`") && rest.includes("`") ? null : ticks;
  return ticks.startsWith(fence) && rest.trim() === "" ? null : fence;
}

function flatten(line: string): string {
  const quotes = /^[ \t]*(?:>[ \t]?){20,}/.exec(line)?.[0];
  const shallow = quotes === undefined ? line : "> ".repeat(MAX_QUOTES) + line.slice(quotes.length);
  const indent = /^[ \t]*/.exec(shallow)?.[0] ?? "";
  return indent.length > MAX_INDENT ? " ".repeat(MAX_INDENT) + shallow.slice(indent.length) : shallow;
}

/** Pieces of a line that is longer than a paragraph may be, cut at spaces where there are some. */
function* cutLine(line: string): Generator<string> {
  let from = 0;
  while (line.length - from > MAX_PARAGRAPH) {
    const space = line.lastIndexOf(" ", from + MAX_PARAGRAPH);
    const hard = from + MAX_PARAGRAPH - (isHighSurrogate(line, from + MAX_PARAGRAPH - 1) ? 1 : 0);
    const end = space > from + MAX_PARAGRAPH / 2 ? space : hard;
    yield line.slice(from, end);
    from = end;
  }
  yield line.slice(from);
}

function isHighSurrogate(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  return code >= 0xd800 && code <= 0xdbff;
}

function unclosed(line: string): number {
  let open = 0;
  for (let at = 0; at < line.length; at += 1) {
    const code = line.charCodeAt(at);
    if (code === 91) open += 1;
    else if (code === 93 && open > 0) open -= 1;
  }
  return open;
}
