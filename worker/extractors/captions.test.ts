import { expect, test } from "vitest";
import { failureOf, readBytes } from "./testing/read-bytes.ts";

const cues = async (name: string, source: string) =>
  (await readBytes(name, source)).segments.map(({ content, speaker, startedMs, endedMs }) => [
    content,
    speaker,
    startedMs,
    endedMs,
  ]);

test("a cue of WebVTT is a segment with its times and its voice", async () => {
  const source =
    "WEBVTT - title\n\nNOTE not read\nat all\n\nSTYLE\n::cue { color: red }\n\nintro\n00:01.500 --> 00:03.000 align:start\n<v.loud Ada Lovelace>Hello <i>there</i> &amp; you</v>\n\n01:00:00.000 --> 01:00:02.250\nBob: Good\nmorning\n";

  expect(await cues("a.vtt", source)).toEqual([
    ["Hello there & you\n", "Ada Lovelace", 1_500, 3_000],
    ["Good\nmorning\n", "Bob", 3_600_000, 3_602_250],
  ]);
});

test("SubRip cues are read with commas, tags, positions and CRLF", async () => {
  const source =
    "1\r\n00:00:01,000 --> 00:00:02,500\r\n{\\an8}<font color=red>Hi</font>\r\n\r\n2\r\n00:00:03,000 --> 00:00:04,000\r\nJANE DOE: Yes\r\n";

  expect(await cues("a.srt", source)).toEqual([
    ["Hi\n", null, 1_000, 2_500],
    ["Yes\n", "JANE DOE", 3_000, 4_000],
  ]);
});

test("cues without blank lines between them are told apart by their numbers", async () => {
  const source = "1\n00:00:01,000 --> 00:00:02,000\nOne\n2\n00:00:02,000 --> 00:00:03,000\nTwo\n";

  expect((await cues("a.srt", source)).map(([content]) => content)).toEqual(["One\n", "Two\n"]);
});

test("times, addresses and labels before a colon are no speakers", async () => {
  const lines = ["At 10:30 we met", "https://x.y/z", "Note: careful", "we said: no"];
  const source = `WEBVTT\n\n${lines.map((line, at) => `00:0${at}.000 --> 00:0${at + 1}.000\n${line}\n`).join("\n")}`;

  expect((await cues("a.vtt", source)).map(([content, speaker]) => [content, speaker])).toEqual(
    lines.map((line) => [`${line}\n`, null]),
  );
});

test("captions without a word are empty", async () => {
  const source = "WEBVTT\n\n00:01.000 --> 00:02.000\n<i></i>\n";

  expect(await failureOf(readBytes("a.vtt", source))).toBe("extract.empty");
});
