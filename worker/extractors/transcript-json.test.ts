import { expect, test } from "vitest";
import { failureOf, readBytes } from "./testing/read-bytes.ts";

const utterances = async (json: unknown) =>
  (await readBytes("a.json", JSON.stringify(json))).segments.map(
    ({ content, speaker, startedMs, endedMs }) => [content, speaker, startedMs, endedMs],
  );

test.each([
  ["an array with seconds", [{ speaker: "Ada", start: 0.5, end: 2.25, text: "Hello there" }]],
  [
    "Whisper",
    { text: "x", segments: [{ id: 0, start: 0.5, end: 2.25, text: " Ada: Hello there", tokens: [1] }] },
  ],
  [
    "AssemblyAI, in milliseconds",
    { utterances: [{ speaker: "Ada", start: 500, end: 2_250, text: "Hello there", words: [] }] },
  ],
  [
    "Deepgram",
    { results: { utterances: [{ speaker: "Ada", start: 0.5, end: 2.25, transcript: "Hello there" }] } },
  ],
  ["whisper.cpp", { transcription: [{ offsets: { from: 500, to: 2_250 }, text: "Ada: Hello there" }] }],
  ["keys that say milliseconds", [{ speaker: "Ada", start_ms: 500, end_ms: 2_250, text: "Hello there" }]],
  ["clock times", [{ speaker: "Ada", start: "00:00:00.500", end: "00:00:02,250", text: "Hello there" }]],
])("%s gives an utterance with speaker and milliseconds", async (_, json) => {
  expect(await utterances(json)).toEqual([["Hello there\n", "Ada", 500, 2_250]]);
});

test("speakers by number are named", async () => {
  expect((await utterances([{ speaker: 0, start: 0, end: 1, text: "Hi" }]))[0]?.[1]).toBe("Speaker 0");
});

test("whole seconds are not taken for milliseconds", async () => {
  const spoken = await utterances([
    { start: 60, end: 75, text: "A sentence that takes about fifteen seconds to say aloud." },
  ]);

  expect(spoken[0]?.slice(2)).toEqual([60_000, 75_000]);
});

test("JSON that is no transcript is read as text", async () => {
  const reading = await readBytes("a.json", '{"name":"worker","tags":["a"]}');

  expect(reading.text).toBe('{"name":"worker","tags":["a"]}');
  expect(reading.extraction.decisions).toContain("JSON without utterances: read as text");
});

test("broken JSON is read as text", async () => {
  const reading = await readBytes("a.json", '{"segments":[{"text":"Hello","start":0');

  expect(reading.text).toContain("Hello");
});

test("a transcript of silence is empty", async () => {
  expect(await failureOf(readBytes("a.json", JSON.stringify([{ start: 0, end: 1, text: " " }])))).toBe(
    "extract.empty",
  );
});
