// CSV and TSV, streamed row by row. The first row is the header: chunkers find it as the first line of the table.
import { Readable } from "node:stream";
import { Failure } from "../failure/failure.ts";
import { type Dialect, guessDelimiter, openCsvParser, quotesPair } from "./csv/dialect.ts";
import { createSegmentCutter } from "./cut-segments.ts";
import { decodeFile } from "./encoding/decode-text.ts";
import type { Extracted, FileToRead } from "./extractor.ts";
import { rowText } from "./fold-tables.ts";

const SAMPLE_CHARS = 1 << 16;
const NAMES: Readonly<Record<string, string>> = { ",": "comma", ";": "semicolon", "\t": "tab", "|": "bar" };

export async function* readCsv(file: FileToRead): AsyncGenerator<Extracted> {
  const dialect = await learnDialect(file);
  const decisions = [
    ...file.decisions,
    `cells separated by ${NAMES[dialect.delimiter] ?? dialect.delimiter}`,
    ...(dialect.quotes ? [] : ["quotes do not pair off: read as characters"]),
  ];
  yield {
    kind: "extraction",
    extraction: { mediaType: file.mediaType, pages: null, title: null, decisions },
  };
  const cutter = createSegmentCutter(file.maxChars);
  const text = Readable.from(decodeFile(file.path, file.encoding ?? "utf-8"));
  const rows = text.pipe(openCsvParser(dialect));
  text.on("error", (cause) => rows.destroy(cause));
  try {
    for await (const row of rows) {
      // SAFETY: without the parser's option `columns` a record is an array of cells.
      const block = { kind: "line", text: rowText(row as string[]) } as const;
      for (const segment of cutter.add(block)) yield { kind: "segment", segment };
    }
  } finally {
    text.destroy();
  }
  for (const segment of cutter.end()) yield { kind: "segment", segment };
  if (cutter.count === 0) throw new Failure("extract.empty", { facts: { bytes: file.byteSize } });
}

async function learnDialect(file: FileToRead): Promise<Dialect> {
  const decoded = () => decodeFile(file.path, file.encoding ?? "utf-8");
  let sample = "";
  let quoted = false;
  let cut = false;
  for (const chunk of decoded()) {
    quoted ||= chunk.includes('"');
    if (sample.length < SAMPLE_CHARS) sample += chunk;
    else cut = true;
    if (cut && quoted) break;
  }
  cut ||= sample.length > SAMPLE_CHARS;
  const guess = guessDelimiter(sample.slice(0, SAMPLE_CHARS), cut);
  return { ...guess, quotes: !quoted || (await quotesPair(decoded(), guess)) };
}
