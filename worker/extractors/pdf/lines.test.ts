import { expect, test } from "vitest";
import { drawn, fragments, lines, run } from "../testing/layout.ts";
import { fragmentsOf } from "./fragments.ts";
import { linesOfRegion } from "./lines.ts";
import type { Run } from "./runs.ts";

const textsOf = (...runs: readonly Run[]): string[] => lines(...runs).map((line) => line.text);

test("spaces come from the stream or from the gap", () => {
  expect(
    textsOf(
      run("no", 50, 700),
      run("gap", 60, 700),
      run("stream", 75, 700, { spaced: true }),
      run("wide", 108, 700),
    ),
  ).toEqual(["nogap stream wide"]);
});

test("bold words that were drawn after the rest of their line stand where they are seen", () => {
  expect(
    textsOf(
      run("read", 50, 700),
      run("this", 105, 700),
      run("below", 50, 688),
      run("all of", 73, 700, { font: "b" }),
    ),
  ).toEqual(["read all of this", "below"]);
});

test("a raised note mark belongs to the word before it, and is set off from the note it opens", () => {
  expect(textsOf(run("word", 50, 700), run("1", 70, 704, { size: 6 }), run("on", 76, 700))).toEqual([
    "word1 on",
  ]);
  expect(textsOf(run("1", 50, 604, { size: 6 }), run("Note", 53, 600))).toEqual(["1 Note"]);
});

test("a line from right to left is read so, its numbers and Latin words the other way", () => {
  const hebrew = (text: string, x: number) => run(text, x, 700, { rtl: true });

  expect(
    textsOf(
      hebrew("שלום", 200),
      run("PDF", 180, 700, { spaced: true }),
      run("1.7", 163, 700),
      hebrew("עולם", 140),
    ),
  ).toEqual(["שלום 1.7 PDF עולם"]);
});

test("Arabic drawn letter by letter from right to left makes words", () => {
  const letters = [..."سلام"].map((letter, at) => run(letter, 200 - 5 * at, 700, { rtl: true }));

  expect(textsOf(...letters)).toEqual(["سلام"]);
});

test("letters set apart make words again", () => {
  expect(textsOf(run("A B S T R A C T", 50, 700))).toEqual(["ABSTRACT"]);
  const letter = (text: string, x: number) => run(text, x, 700, { spaced: true });
  const spread = [..."WIDERWORDS"].map((text, at) => letter(text, 50 + 12 * at + (at > 4 ? 8 : 0)));
  expect(textsOf(...spread)).toEqual(["WIDER WORDS"]);
  expect(textsOf(run("A N E W   A R T", 50, 700))).toEqual(["ANEW ART"]);
  const words = [run("R e p o r t", 50, 700), run("o f", 114, 700), run("2 0 2 3", 137, 700)];
  expect(textsOf(...words)).toEqual(["Report of 2023"]);
});

test("signs that are no words stay apart", () => {
  for (const text of ["a b c", "a + b = c - d", "1 2 3 4 5 6 7", "A 1 2 3 4 5 B C D E"])
    expect(textsOf(run(text, 50, 700))).toEqual([text]);
});

test("Chinese and Japanese are written without spaces, Korean and Latin keep theirs", () => {
  expect(textsOf(run("第 一 章 PDF 文書", 50, 700))).toEqual(["第一章 PDF 文書"]);
  expect(textsOf(run("한국어 문서", 50, 700))).toEqual(["한국어 문서"]);
});

test("a soft hyphen that is drawn within a line is a hyphen, at its end the joiner's", () => {
  expect(textsOf(run("on 2026\u00ad01\u00ad05 well\u00adknown exam\u00ad", 50, 700))).toEqual([
    "on 2026-01-05 well-known exam\u00ad",
  ]);
});

test("dots that lead to a page number are told in one sign", () => {
  expect(textsOf(run("Introduction . . . . . . . . . . 7", 50, 700))).toEqual(["Introduction … 7"]);
});

test("pieces with more than a word's gap between them are cells", () => {
  const [line] = lines(run("Name", 50, 700), run("Price", 150, 700));

  expect(line?.cells.map((cell) => cell.text)).toEqual(["Name", "Price"]);
});

test("a line most of whose characters mean nothing is unreadable, or whose font is known to lie", () => {
  const region = fragmentsOf(
    drawn(
      run("\ue001\ue002 a", 50, 700, { meaningless: 2 }),
      run("fine \ue001", 50, 688, { meaningless: 1 }),
      run("7KH", 50, 676, { font: "lies" }),
    ),
  );

  const told = linesOfRegion(region, { block: 0 }, (font) => font === "lies");

  expect(told.map((line) => line.unreadable)).toEqual([true, false, true]);
});

test("no run of a region is lost", () => {
  const words = Array.from({ length: 40 }, (_, at) =>
    run(`w${at}`, 50 + ((at * 37) % 400), 700 - 3 * ((at * 13) % 40)),
  );

  const told = linesOfRegion(fragments(...words), { block: 0 }).flatMap((line) => line.text.split(" "));

  expect(new Set(told.join(" ").match(/w\d+/g))).toEqual(new Set(words.map((word) => word.text)));
});
