// Transcripts as JSON of common tools: an array of utterances, or an object that holds one under a known key
// (Whisper, WhisperX, AssemblyAI, Deepgram, AWS-like exports). JSON that is no transcript is read as text.
import { readFile } from "node:fs/promises";
import { z } from "zod";
import { Failure } from "../failure/failure.ts";
import { createSegmentCounter } from "./cut-segments.ts";
import { decodeBytes } from "./encoding/decode-text.ts";
import type { Extracted, FileToRead } from "./extractor.ts";
import { readPlainText } from "./plain-text.ts";
import { splitSpeaker } from "./speakers.ts";

/** JSON cannot be read in pieces; an hour of speech with word times is about 2 MiB. */
const MAX_BYTES = 64 << 20;
/** Where tools keep their utterances, outermost first. */
const PLACES: readonly (readonly string[])[] = [
  [],
  ["utterances"],
  ["results", "utterances"],
  ["segments"],
  ["results", "segments"],
  ["result", "segments"],
  ["transcript", "segments"],
  ["transcription"],
  ["transcript"],
  ["monologues"],
  ["results", "channels", "0", "alternatives", "0", "paragraphs", "paragraphs"],
];

const time = z.union([z.number(), z.string()]).nullish();
const speaker = z.union([z.string(), z.number(), z.object({ name: z.string() }).loose()]).nullish();
const utterance = z
  .object({
    text: z.string().nullish(),
    transcript: z.string().nullish(),
    content: z.string().nullish(),
    sentences: z.array(z.object({ text: z.string() }).loose()).nullish(),
    speaker,
    speaker_label: speaker,
    speaker_name: speaker,
    start: time,
    end: time,
    start_time: time,
    end_time: time,
    start_ms: time,
    end_ms: time,
    started_ms: time,
    ended_ms: time,
    offsets: z.object({ from: z.number(), to: z.number() }).nullish(),
  })
  .loose();
type Utterance = z.infer<typeof utterance>;

export async function* readTranscriptJson(file: FileToRead): AsyncGenerator<Extracted> {
  const found = file.byteSize > MAX_BYTES ? null : findUtterances(await parse(file));
  if (found === null) {
    const decisions = [...file.decisions, "JSON without utterances: read as text"];
    yield* readPlainText({ ...file, decisions });
    return;
  }
  const unit = timeUnit(found.utterances);
  const decisions = [
    ...file.decisions,
    `transcript with ${found.utterances.length} utterances, times in ${unit}`,
  ];
  yield {
    kind: "extraction",
    extraction: { mediaType: file.mediaType, pages: null, title: found.title, decisions },
  };
  const counter = createSegmentCounter(file.maxChars);
  for (const one of found.utterances) {
    const named = speakerOf(one);
    const text = textOf(one).trim();
    const spoken = named === null ? splitSpeaker(text) : { speaker: named, text };
    if (spoken.text === "") continue;
    const segment = counter.take({
      content: `${spoken.text}\n`,
      speaker: spoken.speaker,
      ...timesOf(one, unit),
    });
    if (segment !== null) yield { kind: "segment", segment };
  }
  if (counter.count === 0)
    throw new Failure("extract.empty", { facts: { utterances: found.utterances.length } });
}

async function parse(file: FileToRead): Promise<unknown> {
  try {
    return JSON.parse(decodeBytes(await readFile(file.path), file.encoding ?? "utf-8"));
  } catch (cause) {
    // Broken JSON is still text that somebody may want to find.
    if (cause instanceof SyntaxError) return null;
    throw cause;
  }
}

function findUtterances(json: unknown): { utterances: readonly Utterance[]; title: string | null } | null {
  for (const place of PLACES) {
    const here = place.reduce<unknown>((value, key) => (isRecord(value) ? value[key] : undefined), json);
    const utterances = z.array(utterance).min(1).safeParse(here);
    if (!utterances.success) continue;
    if (!utterances.data.every((one) => textKey(one) && (hasTime(one) || speakerOf(one) !== null))) continue;
    const title = isRecord(json) && typeof json.title === "string" ? json.title : null;
    return { utterances: utterances.data, title };
  }
  return null;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}

function textKey(one: Utterance): boolean {
  return (
    [one.text, one.transcript, one.content].some((text) => typeof text === "string") ||
    Array.isArray(one.sentences)
  );
}

function textOf(one: Utterance): string {
  return (
    one.text ??
    one.transcript ??
    one.content ??
    (one.sentences ?? []).map((sentence) => sentence.text).join(" ")
  );
}

function speakerOf(one: Utterance): string | null {
  const given = one.speaker ?? one.speaker_name ?? one.speaker_label ?? null;
  if (typeof given === "number") return `Speaker ${given}`;
  const name = typeof given === "string" ? given : given?.name;
  return name === undefined || name.trim() === "" ? null : name.trim();
}

function startOf(one: Utterance) {
  return one.start ?? one.start_time ?? one.start_ms ?? one.started_ms ?? one.offsets?.from ?? null;
}

function endOf(one: Utterance) {
  return one.end ?? one.end_time ?? one.end_ms ?? one.ended_ms ?? one.offsets?.to ?? null;
}

function hasTime(one: Utterance): boolean {
  return startOf(one) !== null;
}

type Unit = "seconds" | "milliseconds";

/**
 * Keys that say ms are ms. Otherwise fractions mean seconds; and whole numbers mean milliseconds when speech of
 * that length would be too slow: under one character in two of the given units for the whole transcript.
 */
function timeUnit(utterances: readonly Utterance[]): Unit {
  if (utterances.some((one) => one.start_ms ?? one.started_ms ?? one.offsets)) return "milliseconds";
  const numbers = utterances
    .flatMap((one) => [startOf(one), endOf(one)])
    .map((value) => Number(value ?? Number.NaN));
  if (numbers.some((value) => Number.isFinite(value) && !Number.isInteger(value))) return "seconds";
  const chars = utterances.reduce((sum, one) => sum + textOf(one).length, 0);
  const spans = utterances.map(
    (one) => Number(endOf(one) ?? Number.NaN) - Number(startOf(one) ?? Number.NaN),
  );
  const span = spans
    .filter((length) => Number.isFinite(length) && length > 0)
    .reduce((sum, length) => sum + length, 0);
  return span > chars * 2 ? "milliseconds" : "seconds";
}

function timesOf(one: Utterance, unit: Unit): { startedMs: number | null; endedMs: number | null } {
  return { startedMs: inMilliseconds(startOf(one), unit), endedMs: inMilliseconds(endOf(one), unit) };
}

function inMilliseconds(value: string | number | null, unit: Unit): number | null {
  if (value === null) return null;
  if (typeof value === "string" && value.includes(":")) {
    const seconds = value
      .replace(",", ".")
      .split(":")
      .reduce((sum, part) => sum * 60 + Number(part), 0);
    return Number.isFinite(seconds) ? Math.round(seconds * 1_000) : null;
  }
  const number = Number(value);
  return Number.isFinite(number) ? Math.round(unit === "seconds" ? number * 1_000 : number) : null;
}
