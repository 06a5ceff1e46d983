// Markdown: rendered to HTML piece by piece and read by the HTML reader, so lists, tables, code and raw HTML
// follow one path. Pieces end where no construct can be open, so a long file is never held as a whole.
import createMarkdownIt, { type MarkdownIt } from "markdown-it";
import { Failure } from "../failure/failure.ts";
import { type Block, createSegmentCutter } from "./cut-segments.ts";
import { decodeFile, readLines } from "./encoding/decode-text.ts";
import type { Extracted, Extraction, FileToRead } from "./extractor.ts";
import { createHtmlBlocks } from "./html/blocks.ts";
import { countInk } from "./html/elements.ts";
import { describeLeftOut } from "./html/left-out.ts";
import { hiddenRule } from "./html/signs.ts";
import { leaveComponents } from "./markdown/components.ts";
import { cutMarkdown } from "./markdown/pieces.ts";

/** Deeper nesting than the renderer takes would vanish; cutMarkdown keeps sources below this. */
const MAX_NESTING = 400;

/** A shorter file is decoded once for both looks at it. */
const MAX_HELD_BYTES = 1 << 20;

export async function* readMarkdown(file: FileToRead): AsyncGenerator<Extracted> {
  const read = () => readLines(decodeFile(file.path, file.encoding ?? "utf-8"));
  const held = file.byteSize <= MAX_HELD_BYTES ? [...read()] : null;
  const lines = () => held ?? read();
  const leftOut = new Map<string, number>();
  const leave = (rule: string, chars: number): void =>
    void leftOut.set(rule, (leftOut.get(rule) ?? 0) + chars);
  const environment = {};
  renderer.render(linkDefinitions(lines()), environment);
  const cutter = createSegmentCutter(file.maxChars);
  const isMdx = /\.mdx$/i.test(file.name);
  let said: Extraction | null = null;
  const kept = leaveComponents(lines(), isMdx, (line) => leave("imports and exports", countInk(line)));
  for (const piece of cutMarkdown(kept)) {
    const blocks = blocksOf(renderer.render(piece.text, environment), leave);
    if (said === null) {
      said = extractionOf(file, piece.frontMatter, (await titleOf(piece.frontMatter)) ?? headingOf(blocks));
      yield { kind: "extraction", extraction: said };
    }
    for (const block of blocks) for (const segment of cutter.add(block)) yield { kind: "segment", segment };
  }
  for (const segment of cutter.end()) yield { kind: "segment", segment };
  if (cutter.count === 0) throw new Failure("extract.empty", { facts: { bytes: file.byteSize } });
  if (said === null || leftOut.size === 0) return;
  const decisions = [...said.decisions, ...describeLeftOut(leftOut)];
  yield { kind: "extraction", extraction: { ...said, decisions } };
}

/** Most files have none, and a child that starts need not load the YAML for it. */
async function titleOf(frontMatter: readonly string[]): Promise<string | null> {
  if (frontMatter.length === 0) return null;
  const { titleOf: titleOfLines } = await import("./front-matter.ts");
  return titleOfLines(frontMatter);
}

function headingOf(blocks: readonly Block[]): string | null {
  const first = blocks.find((block) => block.kind === "heading");
  return first?.level === 1 ? first.text : null;
}

function extractionOf(file: FileToRead, frontMatter: readonly string[], title: string | null): Extraction {
  const left = frontMatter.length > 0 ? [`front matter left out (${frontMatter.length} lines)`] : [];
  return { mediaType: file.mediaType, pages: null, title, decisions: [...file.decisions, ...left] };
}

function blocksOf(html: string, leave: (rule: string, chars: number) => void): Block[] {
  const blocks: Block[] = [];
  const put = (block: Block): void => {
    // `## Title {#anchor .class}`: Pandoc, kramdown and Docusaurus name headings so.
    const anchor = block.kind === "heading" ? (ANCHOR.exec(block.text)?.[0] ?? "") : "";
    if (anchor === "" || block.kind !== "heading") return void blocks.push(block);
    leave("heading anchors", countInk(anchor));
    blocks.push({ ...block, text: block.text.slice(0, -anchor.length) });
  };
  const reader = createHtmlBlocks(put, { leaves: hiddenRule });
  reader.write(html);
  reader.end();
  for (const [rule, chars] of reader.leftOut) leave(rule, chars);
  return blocks;
}

const ANCHOR = /\s*\{[#.][^{}]*\}$/;

/** Reference definitions may stand anywhere: they are collected first, for all pieces. Bounded by count. */
function linkDefinitions(lines: Iterable<string>): string {
  const found: string[] = [];
  for (const line of lines)
    if (found.length < 10_000 && line.length < 2_000 && /^ {0,3}\[[^\]]+\]:\s*\S/.test(line))
      found.push(line);
  return found.join("\n\n");
}

function createRenderer(): MarkdownIt {
  const renderer = createMarkdownIt({ html: true, linkify: false });
  renderer.set({ maxNesting: MAX_NESTING });
  // A bare `<T>` or `<script>` in a sentence is text that somebody forgot to quote; as HTML it would swallow
  // itself or everything after it.
  renderer.renderer.rules.html_inline = (tokens, at) => {
    const tag = tokens[at]?.content ?? "";
    if (COMPONENT.test(tag)) return "";
    return INLINE_HTML.test(tag) ? tag : renderer.utils.escapeHtml(tag);
  };
  renderer.renderer.rules.html_block = (tokens, at) => {
    const html = tokens[at]?.content ?? "";
    const raw = /^\s*<(script|style|textarea|noscript|template|title|svg|iframe|object)\b/i.exec(html)?.[1];
    const closed = raw === undefined || new RegExp(`</${raw}\\s*>`, "i").test(html);
    return closed ? `\n${html}\n` : renderer.utils.escapeHtml(html);
  };
  return renderer;
}

/** What a document adds to it is in its environment: one serves all. */
const renderer = createRenderer();

const INLINE_HTML =
  /^<(!--|\/?(a|abbr|b|bdi|bdo|big|br|center|cite|code|del|details|dfn|div|em|font|h[1-6]|hr|i|img|ins|kbd|li|mark|ol|p|picture|pre|q|s|samp|small|source|span|strike|strong|sub|summary|sup|table|tbody|td|th|thead|tr|tt|u|ul|var|wbr)(\s|\/?>))/i;

/** A component of MDX: its name begins with a capital, and it has properties or closes itself. `Map<T>` has neither. */
const COMPONENT = /^<[A-Z][\w.]*(\s+[\w:@-]+\s*=|\s*\/>)/;
