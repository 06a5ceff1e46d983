// HTML pages: the file is parsed twice as a stream, first to find the main content, then to read it.
// So no tree is built, and a page is as cheap as its deepest path.
import { Failure } from "../failure/failure.ts";
import { type Block, createSegmentCutter } from "./cut-segments.ts";
import { decodeFile } from "./encoding/decode-text.ts";
import type { Extracted, FileToRead } from "./extractor.ts";
import { createHtmlBlocks } from "./html/blocks.ts";
import { describeLeftOut } from "./html/left-out.ts";
import { chooseMainContent } from "./html/main-content.ts";
import { surveyPage } from "./html/survey.ts";

export async function* readHtml(file: FileToRead): AsyncGenerator<Extracted> {
  const chunks = () => decodeFile(file.path, file.encoding ?? "utf-8");
  const selfClosing = isXhtml(chunks());
  const { title, heading, decisions, leaves } = chooseMainContent(
    await surveyPage(chunks(), { selfClosing }),
  );
  const said = (left: readonly string[]): Extracted => ({
    kind: "extraction",
    extraction: {
      mediaType: file.mediaType,
      pages: null,
      title,
      decisions: [...file.decisions, ...decisions, ...left],
    },
  });
  yield said([]);
  const cutter = createSegmentCutter(file.maxChars);
  let blocks: Block[] = heading === null ? [] : [heading];
  const reader = createHtmlBlocks((block) => void blocks.push(block), {
    leaves: (element) => leaves(element.index),
    selfClosing,
  });
  const drain = function* (): Generator<Extracted> {
    // A title alone is no text.
    if (cutter.count === 0 && blocks.length === 1 && heading !== null) return;
    const ready = blocks;
    blocks = [];
    for (const block of ready) for (const segment of cutter.add(block)) yield { kind: "segment", segment };
  };
  for (const chunk of chunks()) {
    reader.write(chunk);
    yield* drain();
  }
  reader.end();
  yield* drain();
  for (const segment of cutter.end()) yield { kind: "segment", segment };
  if (cutter.count === 0) throw new Failure("extract.empty", { facts: { bytes: file.byteSize } });
  if (reader.leftOut.size > 0) yield said(describeLeftOut(reader.leftOut));
}

/** Only what begins as XML closes `<script/>` and `<a/>` with their slash. */
function isXhtml(chunks: Iterable<string>): boolean {
  for (const start of chunks) return /^\s*<\?xml\s/.test(start);
  return false;
}
