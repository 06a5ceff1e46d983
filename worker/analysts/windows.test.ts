import { expect, test } from "vitest";
import type { Segment } from "../document/segment.ts";
import { answerFormat } from "./answer-shape.ts";
import { digestPrefix, documentPrefix, groupQuestion, groupSha, headOf, SYSTEM } from "./prompt.ts";
import { WINDOW_BYTES, type Window, windowsOf } from "./windows.ts";

const segment = (seq: number, content: string, section: string | null = null): Segment => ({
  seq,
  content,
  pageNumber: null,
  section,
  speaker: null,
  startedMs: null,
  endedMs: null,
});
async function all(segments: readonly Segment[]): Promise<readonly Window[]> {
  const windows: Window[] = [];
  for await (const window of windowsOf(stream(segments))) windows.push(window);
  return windows;
}
async function* stream(segments: readonly Segment[]) {
  yield* segments;
}

test("every segment is in exactly one group, in order, whatever its size", async () => {
  const segments = Array.from({ length: 300 }, (_, at) => segment(at, "x".repeat((at * 977) % 9000)));

  const groups = (await all(segments)).flatMap((window) => window.groups);

  expect(groups.flatMap((group) => group.segments)).toEqual(segments);
});

test.each([
  ["letters", "word "],
  ["signs of three bytes", "漢字"],
  ["signs of four bytes", "😀"],
  ["marks that are a token each", "~!"],
])("no prompt can have 100,000 tokens, where the price steps up: %s", async (_, text) => {
  const segments = Array.from({ length: 400 }, (_, at) => segment(at, text.repeat(400)));
  for (const { groups } of await all(segments)) {
    const prefix = documentPrefix(
      "漢".repeat(400),
      groups.flatMap((group) => group.segments),
    );
    for (const group of groups) {
      // A chunk has at least one sign of its own; nobody cuts a group into more.
      const heads = Array.from({ length: 60 }, () => ({ segmentFrom: 0, head: headOf(text.repeat(60)) }));
      const { suffix } = groupQuestion(prefix, group, heads, true);
      const bytes = [prefix, suffix, SYSTEM, JSON.stringify(answerFormat.schema)].map((part) =>
        Buffer.byteLength(part),
      );
      // A token is a byte at least.
      expect(bytes.reduce((sum, one) => sum + one)).toBeLessThan(100_000);
      expect(Buffer.byteLength(prefix)).toBeLessThan(90_000);
    }
  }
});

test("a section that begins behind half a group begins one", async () => {
  const segments = [segment(1, "a".repeat(4000), "One"), segment(2, "b".repeat(500), "Two")];
  const [window] = await all(segments);
  expect(window?.groups.map((group) => group.segments.map(({ seq }) => seq))).toEqual([[1], [2]]);
});

test("a segment that no prompt can hold is told of, and its neighbours share a window without it", async () => {
  const segments = [segment(1, "before"), segment(2, "x".repeat(WINDOW_BYTES + 1)), segment(3, "after")];
  const [window, ...more] = await all(segments);
  expect(more).toEqual([]);
  expect(window?.groups.map(({ isTooLong }) => isTooLong)).toEqual([false, true, false]);
});

test("a group is known again wherever it stands, and not when a word or a speaker of it changed", () => {
  const group = (...segments: Segment[]) => groupSha({ segments, isTooLong: false }, []);
  const known = group(segment(1, "one"), segment(2, "two"));

  expect(group(segment(7, "one"), segment(8, "two"))).toBe(known);
  expect(group(segment(1, "one"), segment(2, "three"))).not.toBe(known);
  expect(group({ ...segment(1, "one"), speaker: "Ada" }, segment(2, "two"))).not.toBe(known);
  expect(group(segment(1, "onetwo"))).not.toBe(known);
});

test("a digest of many summaries stays within its bytes", () => {
  const summaries = Array.from({ length: 5000 }, (_, at) => `Summary ${at} says ${"漢字".repeat(300)}`);
  const digest = digestPrefix("Title", summaries, WINDOW_BYTES);
  expect(Buffer.byteLength(digest)).toBeLessThan(WINDOW_BYTES + 2000);
  expect(digest.isWellFormed()).toBe(true);
});
