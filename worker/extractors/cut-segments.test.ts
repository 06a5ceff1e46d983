import { expect, test } from "vitest";
import { Failure } from "../failure/failure.ts";
import { type Block, createSegmentCutter, cutLongText, MAX_SEGMENT_CHARS } from "./cut-segments.ts";

function cut(blocks: readonly Block[], maxChars = 1_000_000) {
  const cutter = createSegmentCutter(maxChars);
  return [...blocks.flatMap((block) => cutter.add(block)), ...cutter.end()];
}

test("paragraphs are set apart by a blank line, lines by a line break, and segments join with nothing between", () => {
  const segments = cut([
    { kind: "paragraph", text: "Before." },
    { kind: "heading", level: 1, text: "Title" },
    { kind: "line", text: "- one" },
    { kind: "line", text: "- two" },
    { kind: "paragraph", text: "After." },
  ]);

  const source = segments.map((segment) => segment.content).join("");

  expect(source).toBe("Before.\n\nTitle\n\n- one\n- two\n\nAfter.\n");
});

test("a section is the path of the headings above, and a higher heading closes the lower ones", () => {
  const segments = cut([
    { kind: "heading", level: 1, text: "A" },
    { kind: "heading", level: 3, text: "B" },
    { kind: "paragraph", text: "text" },
    { kind: "heading", level: 2, text: "C" },
    { kind: "paragraph", text: "text" },
    { kind: "heading", level: 1, text: "D" },
    { kind: "paragraph", text: "text" },
  ]);

  expect(segments.map((segment) => segment.section)).toEqual(["A", "A > B", "A > C", "D"]);
});

test("a page break ends the segment and the heading path goes on", () => {
  const segments = cut([
    { kind: "page", page: 1 },
    { kind: "heading", level: 1, text: "A" },
    { kind: "paragraph", text: "one" },
    { kind: "page", page: 2 },
    { kind: "paragraph", text: "two" },
  ]);

  expect(segments.map(({ pageNumber, section, seq }) => ({ pageNumber, section, seq }))).toEqual([
    { pageNumber: 1, section: "A", seq: 1 },
    { pageNumber: 2, section: "A", seq: 2 },
  ]);
});

test("a long text is cut at a line end and never inside a surrogate pair, and its pieces join to it", () => {
  const prose = `${"x".repeat(6_000)}\n${"y".repeat(6_000)}`;
  const emoji = "😀".repeat(MAX_SEGMENT_CHARS);

  const pieces = [cutLongText(prose), cutLongText(`a${emoji}`)];

  expect(pieces[0]?.[0]?.endsWith("\n")).toBe(true);
  expect(pieces.map((each) => each.join(""))).toEqual([prose, `a${emoji}`]);
  for (const piece of pieces.flat()) {
    expect(piece.isWellFormed()).toBe(true);
    expect(piece.length).toBeLessThanOrEqual(MAX_SEGMENT_CHARS);
  }
});

test("NUL and lone surrogates do not get into a segment", () => {
  const segments = cut([{ kind: "paragraph", text: "a\0b\ud800c" }]);

  expect(segments[0]?.content).toBe("ab\ufffdc\n");
});

test("more text than the limit ends with extract.too-large", () => {
  const tooMuch = () => cut([{ kind: "paragraph", text: "x".repeat(101) }], 100);

  expect(tooMuch).toThrow(Failure);
  expect(tooMuch).toThrow("unpacks to more");
});

test("blocks of white space give no segment", () => {
  const segments = cut([
    { kind: "page", page: 1 },
    { kind: "paragraph", text: " \n " },
    { kind: "heading", level: 1, text: "  " },
  ]);

  expect(segments).toEqual([]);
});
