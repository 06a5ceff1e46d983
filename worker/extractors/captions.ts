// WebVTT and SubRip: one segment a cue, with its times and its speaker. Streamed line by line.
// A block that is neither header, note, style nor region is a cue when it has an arrow; the line before the
// arrow is its name or number, and no text.
import { Failure } from "../failure/failure.ts";
import { createSegmentCounter } from "./cut-segments.ts";
import { decodeFile, readLines } from "./encoding/decode-text.ts";
import type { Extracted, FileToRead } from "./extractor.ts";
import { splitSpeaker, stripCueTags, voiceOf } from "./speakers.ts";

const TIMES = /^\s*((?:\d+:)?\d{1,2}:\d{1,2}[.,]\d{1,3})[ \t]*-->[ \t]*((?:\d+:)?\d{1,2}:\d{1,2}[.,]\d{1,3})/;
/** A cue with more lines than this is a file without blank lines between its cues gone wrong. */
const MAX_CUE_LINES = 1_000;

type Cue = { readonly from: number; readonly to: number; readonly lines: string[] };

export async function* readCaptions(file: FileToRead): AsyncGenerator<Extracted> {
  const { mediaType, decisions } = file;
  yield { kind: "extraction", extraction: { mediaType, pages: null, title: null, decisions } };
  const counter = createSegmentCounter(file.maxChars);
  for (const cue of readCues(readLines(decodeFile(file.path, file.encoding ?? "utf-8")))) {
    const raw = cue.lines.join("\n");
    const spoken = splitSpeaker(stripCueTags(raw).trim());
    if (spoken.text === "") continue;
    const segment = counter.take({
      content: `${spoken.text}\n`,
      speaker: voiceOf(raw) ?? spoken.speaker,
      startedMs: cue.from,
      endedMs: cue.to,
    });
    if (segment !== null) yield { kind: "segment", segment };
  }
  if (counter.count === 0) throw new Failure("extract.empty", { facts: { cues: 0 } });
}

function* readCues(lines: Iterable<string>): Generator<Cue> {
  let cue: Cue | null = null;
  for (const line of lines) {
    const times = TIMES.exec(line);
    if (times !== null) {
      // Some writers leave the blank line out: the number of the next cue is then our last line.
      if (cue !== null && /^\d+$/.test(cue.lines.at(-1)?.trim() ?? "")) cue.lines.pop();
      if (cue !== null) yield cue;
      cue = { from: milliseconds(times[1] ?? ""), to: milliseconds(times[2] ?? ""), lines: [] };
    } else if (line.trim() === "") {
      if (cue !== null && cue.lines.length > 0) {
        yield cue;
        cue = null;
      }
    } else if (cue !== null && cue.lines.length < MAX_CUE_LINES) cue.lines.push(line);
  }
  if (cue !== null) yield cue;
}

function milliseconds(time: string): number {
  const [clock = "", fraction = "0"] = time.split(/[.,]/);
  const seconds = clock.split(":").reduce((sum, part) => sum * 60 + Number(part), 0);
  return seconds * 1_000 + Number(fraction.padEnd(3, "0"));
}
