import { expect, test } from "vitest";
import {
  type Boundary,
  boundaryAt,
  CLAUSE,
  endingOf,
  isWhiteSpace,
  LINE,
  PARAGRAPH,
  SENTENCE,
  WORD,
} from "./boundary.ts";

const at = (before: string, gap: string, next: string, lineLength = before.length): Boundary =>
  boundaryAt(endingOf(before, 0, before.length), gap, next, 0, lineLength);

test("white space is what JavaScript trims, and nothing else", () => {
  const codes = Array.from({ length: 0x10000 }, (_, code) => code);

  const wrong = codes.filter((code) => isWhiteSpace(code) !== (String.fromCharCode(code).trim() === ""));

  expect(wrong).toEqual([]);
});

test.each([
  ["end.", SENTENCE],
  ["end?”", SENTENCE],
  ["(end.)", SENTENCE],
  ["終わり。」", SENTENCE],
  ["نهاية؟", SENTENCE],
  ["Mr.", WORD],
  ["(e.g.", WORD],
  ["J.", WORD],
  ["pause,", CLAUSE],
  ["読点、", CLAUSE],
  ["word", WORD],
  ["...", SENTENCE],
  [".", SENTENCE],
  ['"', WORD],
] as const)("%j ends as expected", (text, expected) => {
  const ending = endingOf(text, 0, text.length);

  expect(ending).toBe(expected);
});

test("white space decides between paragraph, line and less", () => {
  const found = [
    at("end", "\n\n", "Next"),
    at("end", "\r\n \t\r\n", "Next"),
    at("end", "\u2029", "Next"),
    at("end.", "\n", "next"),
    at("end", "\r\n", "Next"),
    at("end.", " ", "Next"),
    at("end.", " ", "next"),
    at("end,", "  ", "next"),
    at("end", "\u3000", "Next"),
  ];

  expect(found).toEqual([PARAGRAPH, PARAGRAPH, PARAGRAPH, LINE, LINE, SENTENCE, WORD, CLAUSE, WORD]);
});

test("a line break in mid-sentence is a wrapped line when the next starts small or the line is long", () => {
  const found = [
    at("end", "\n", "next"),
    at("end", "\n", "écrit"),
    at("end", "\n", "Next", 70),
    at("end", "\n", "- Next", 70),
    at("end", "\n", "漢字", 5),
  ];

  expect(found).toEqual([CLAUSE, CLAUSE, CLAUSE, LINE, LINE]);
});
