// Cuts a Markdown source into pieces that can be rendered alone: at headings (else blank lines) outside of code
// fences, once a piece is long enough. Front matter comes off the first piece.

/** UTF-16 units after which a heading ends the piece, and after which any blank line does. */
const SOFT_CHARS = 1 << 16;
const HARD_CHARS = 1 << 18;
const MAX_FRONT_MATTER_LINES = 500;
/** Nesting that nobody writes by hand but that costs the renderer its stack, or the text its place. */
const MAX_QUOTES = 20;
const MAX_INDENT = 120;

export type MarkdownPiece = { readonly frontMatter: readonly string[]; readonly text: string };

export async function* cutMarkdown(source: AsyncIterable<string>): AsyncGenerator<MarkdownPiece> {
  let lines: string[] = [];
  let frontMatter: string[] = [];
  let chars = 0;
  let fence: string | null = null;
  let maybeFrontMatter: string | null = null;
  let number = 0;
  for await (const given of source) {
    const line = flatten(given);
    number += 1;
    if (number === 1 && /^(-{3}|\+{3})\s*$/.test(line)) maybeFrontMatter = line.trim();
    else if (maybeFrontMatter !== null && (line.trim() === maybeFrontMatter || line.trim() === "...")) {
      frontMatter = lines.slice(1);
      lines = [];
      chars = 0;
      maybeFrontMatter = null;
      continue;
    }
    // A rule at the top of a long text is no front matter.
    if (number > MAX_FRONT_MATTER_LINES) maybeFrontMatter = null;
    const ends = fence === null && maybeFrontMatter === null && lines.length > 0 && mayCut(line, chars);
    if (ends) {
      yield { frontMatter, text: lines.join("\n") };
      frontMatter = [];
      lines = [];
      chars = 0;
    }
    fence = fenceAfter(line, fence);
    lines.push(line);
    chars += line.length + 1;
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
