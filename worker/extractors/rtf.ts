// RTF, streamed. Pages are unknown: an RTF says where its author broke pages, not where they end.
import { createReadStream } from "node:fs";
import { Failure } from "../failure/failure.ts";
import { type Block, createSegmentCutter } from "./cut-segments.ts";
import type { Extracted, FileToRead } from "./extractor.ts";
import { createRtfReader } from "./rtf/body.ts";
import { createRtfTokenizer } from "./rtf/tokens.ts";

const READ_BYTES = 1 << 18;

export async function* readRtf(file: FileToRead): AsyncGenerator<Extracted> {
  const { mediaType, decisions } = file;
  const cutter = createSegmentCutter(file.maxChars);
  const blocks: Block[] = [];
  const reader = createRtfReader(file.maxChars, (block) => void blocks.push(block));
  const tokenizer = createRtfTokenizer(reader);
  const drain = function* (): Generator<Extracted> {
    for (const block of blocks.splice(0))
      for (const segment of cutter.add(block)) yield { kind: "segment", segment };
  };
  let told = false;
  for await (const chunk of createReadStream(file.path, { highWaterMark: READ_BYTES })) {
    tokenizer.write(chunk as Buffer);
    // The title stands in the first pages of the file, before any text.
    if (!told)
      yield { kind: "extraction", extraction: { mediaType, pages: null, title: reader.title, decisions } };
    told = true;
    yield* drain();
  }
  tokenizer.end();
  // A forgotten brace at the end is common; a file that ends inside of a group's group was cut.
  const whole = reader.depth === 0;
  if (reader.depth > 1)
    throw new Failure("extract.corrupt", { facts: { format: mediaType, openGroups: reader.depth } });
  reader.end();
  yield* drain();
  for (const segment of cutter.end()) yield { kind: "segment", segment };
  if (cutter.count === 0) throw new Failure("extract.empty", { facts: { bytes: file.byteSize } });
  if (whole) return;
  const more = [...decisions, "the file ends before its last group is closed"];
  yield { kind: "extraction", extraction: { mediaType, pages: null, title: reader.title, decisions: more } };
}
