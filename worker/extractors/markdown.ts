// Markdown: rendered to HTML piece by piece and read by the HTML reader, so lists, tables, code and raw HTML
// follow one path. Pieces end where no construct can be open, so a long file is never held as a whole.
import createMarkdownIt, { type MarkdownIt } from "markdown-it";
import { Failure } from "../failure/failure.ts";
import { type Block, createSegmentCutter } from "./cut-segments.ts";
import { decodeFile, readLines } from "./decode-text.ts";
import type { Extracted, FileToRead } from "./extractor.ts";
import { createHtmlBlocks } from "./html-blocks.ts";
import { cutMarkdown } from "./markdown-pieces.ts";

/** Deeper nesting than the renderer takes would vanish; cutMarkdown keeps sources below this. */
const MAX_NESTING = 400;

export async function* readMarkdown(file: FileToRead): AsyncGenerator<Extracted> {
  const lines = () => readLines(decodeFile(file.path, file.encoding ?? "utf-8"));
  const environment = {};
  const renderer = createRenderer();
  renderer.render(await linkDefinitions(lines()), environment);
  const cutter = createSegmentCutter(file.maxChars);
  let first = true;
  for await (const piece of cutMarkdown(lines())) {
    if (first) yield { kind: "extraction", extraction: extractionOf(file, piece.frontMatter, piece.text) };
    first = false;
    for (const block of blocksOf(renderer.render(piece.text, environment)))
      for (const segment of cutter.add(block)) yield { kind: "segment", segment };
  }
  for (const segment of cutter.end()) yield { kind: "segment", segment };
  if (cutter.count === 0) throw new Failure("extract.empty", { facts: { bytes: file.byteSize } });
}

function extractionOf(file: FileToRead, frontMatter: readonly string[], text: string) {
  const named = frontMatter.map((line) => /^title\s*[:=]\s*(.+)$/i.exec(line)?.[1]).find((found) => found);
  const title =
    named?.replace(/^(["'])(.*)\1\s*$/, "$2") ?? /^#[ \t]+(.+?)[ \t]*#*$/m.exec(text)?.[1] ?? null;
  const left = frontMatter.length > 0 ? [`front matter left out (${frontMatter.length} lines)`] : [];
  const decisions = [...file.decisions, ...left];
  return { mediaType: file.mediaType, pages: null, title, decisions };
}

function blocksOf(html: string): Block[] {
  const blocks: Block[] = [];
  const reader = createHtmlBlocks((block) => void blocks.push(block));
  reader.write(html);
  reader.end();
  return blocks;
}

/** Reference definitions may stand anywhere: they are collected first, for all pieces. Bounded by count. */
async function linkDefinitions(lines: AsyncIterable<string>): Promise<string> {
  const found: string[] = [];
  for await (const line of lines)
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

const INLINE_HTML =
  /^<(!--|\/?(a|abbr|b|bdi|bdo|big|br|center|cite|code|del|details|dfn|div|em|font|h[1-6]|hr|i|img|ins|kbd|li|mark|ol|p|picture|pre|q|s|samp|small|source|span|strike|strong|sub|summary|sup|table|tbody|td|th|thead|tr|tt|u|ul|var|wbr)(\s|\/?>))/i;
