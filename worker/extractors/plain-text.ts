// Plain text, streamed: decoded in chunks, cut into segments at paragraph and line ends, kept as it is.
// A line of any length is fine; nothing but the running segment is held.
import { Failure } from "../failure/failure.ts";
import { createSegmentCounter, findCut, MAX_SEGMENT_CHARS } from "./cut-segments.ts";
import { decodeFile } from "./encoding/decode-text.ts";
import type { Extracted, FileToRead } from "./extractor.ts";

/** Longer runs of white space are cut down to this. */
const MAX_BLANK_CHARS = 1_000;

export async function* readPlainText(file: FileToRead): AsyncGenerator<Extracted> {
  const counter = createSegmentCounter(file.maxChars);
  const { mediaType, decisions } = file;
  yield { kind: "extraction", extraction: { mediaType, pages: null, title: null, decisions } };
  let blank = "";
  for (const piece of cutStream(decodeFile(file.path, file.encoding ?? "utf-8"))) {
    // White space alone is no segment, but it belongs to the text: it goes before the next one.
    if (piece.trim() === "") {
      blank = (blank + piece).slice(-MAX_BLANK_CHARS);
      continue;
    }
    const segment = counter.take({ content: blank + piece });
    if (segment === null) continue;
    yield { kind: "segment", segment };
    blank = "";
  }
  if (counter.count === 0) throw new Failure("extract.empty", { facts: { bytes: file.byteSize } });
}

function* cutStream(chunks: Iterable<string>): Generator<string> {
  let held = "";
  for (const chunk of chunks) {
    held += chunk;
    let from = 0;
    while (held.length - from > MAX_SEGMENT_CHARS) {
      const end = from + findCut(held.slice(from, from + MAX_SEGMENT_CHARS + 1));
      yield held.slice(from, end);
      from = end;
    }
    held = held.slice(from);
  }
  if (held !== "") yield held;
}
