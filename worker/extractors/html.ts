// HTML pages: the file is parsed twice as a stream, first to find the main content, then to read it.
// So no tree is built, and a page is as cheap as its deepest path.
import { Failure } from "../failure/failure.ts";
import { type Block, createSegmentCutter } from "./cut-segments.ts";
import { decodeFile } from "./decode-text.ts";
import type { Extracted, FileToRead } from "./extractor.ts";
import { createHtmlBlocks } from "./html-blocks.ts";
import { findMainContent } from "./html-main-content.ts";

export async function* readHtml(file: FileToRead): AsyncGenerator<Extracted> {
  const chunks = () => decodeFile(file.path, file.encoding ?? "utf-8");
  const content = await findMainContent(chunks());
  const decisions = [...file.decisions, ...content.decisions];
  yield {
    kind: "extraction",
    extraction: { mediaType: file.mediaType, pages: null, title: content.title, decisions },
  };
  const cutter = createSegmentCutter(file.maxChars);
  let blocks: Block[] = [];
  const reader = createHtmlBlocks(
    (block) => void blocks.push(block),
    (element) => content.skips(element.index),
  );
  const drain = function* (): Generator<Extracted> {
    const ready = blocks;
    blocks = [];
    for (const block of ready) for (const segment of cutter.add(block)) yield { kind: "segment", segment };
  };
  for await (const chunk of chunks()) {
    reader.write(chunk);
    yield* drain();
  }
  reader.end();
  yield* drain();
  for (const segment of cutter.end()) yield { kind: "segment", segment };
  if (cutter.count === 0) throw new Failure("extract.empty", { facts: { bytes: file.byteSize } });
}
