import { expect, test } from "vitest";
import { column, lines, run } from "../testing/layout.ts";
import { createWordJoiner } from "./join-words.ts";
import { paragraphsOf } from "./paragraphs.ts";
import type { Run } from "./runs.ts";
import { markRows } from "./tables.ts";

const textsOf = (...runs: readonly Run[]): string[] =>
  paragraphsOf(markRows(lines(...runs)), createWordJoiner()).map((block) =>
    "text" in block ? block.text : "",
  );

test("a line end that the margin forced is a space, one that was chosen stays", () => {
  const forced = ["A line that fills its column all the", "way goes on in the next", "line."];
  const poem = ["A verse that is long enough to be", "Short", "And again a verse of some length"];

  expect(textsOf(...column(forced, 50, 700))).toEqual([
    "A line that fills its column all the way goes on in the next\nline.",
  ]);
  expect(textsOf(...column(poem, 50, 700))[0]).toContain("Short\nAnd");
});

test("a step down begins a paragraph, and so does a first line that is set in", () => {
  const [first, second] = [
    "One line of text that fills its column",
    "and a second line that fills it also x",
  ];
  const runs = [
    ...column([first, second], 50, 700),
    ...column([first], 65, 676),
    ...column([second], 50, 664),
    ...column([first], 50, 630),
  ];

  expect(textsOf(...runs)).toEqual([`${first} ${second}`, `${first} ${second}`, first]);
});

test("list items stand on lines of their own", () => {
  for (const mark of ["•", "✓", "\uf0b7"])
    expect(
      textsOf(...column([`${mark} one item of the list`, `${mark} another item of the list`], 50, 700)),
    ).toEqual([`${mark} one item of the list\n${mark} another item of the list`]);
});

test("marks set apart from their items make a list, not a table", () => {
  const items = ["one item of the list", "another item of the list", "and the third of them"];
  const runs = items.flatMap((text, at) => [run("•", 50, 700 - 12 * at), run(text, 50 + 18, 700 - 12 * at)]);

  expect(textsOf(...runs)).toEqual([items.map((text) => `• ${text}`).join("\n")]);
});

test("Chinese lines are joined without a space", () => {
  expect(textsOf(...column(["这是第一行文字内容在这里", "继续的第二行"], 50, 700))).toEqual([
    "这是第一行文字内容在这里继续的第二行",
  ]);
});

test("rows of a table are lines whose cells are kept apart", () => {
  const row = (texts: readonly string[], y: number) => texts.map((text, at) => run(text, 50 + 100 * at, y));

  expect(
    textsOf(
      ...row(["Name", "Size", "Price"], 700),
      ...row(["Apple", "small", "1.20"], 688),
      ...row(["Pear", "large", "3.40"], 676),
    ),
  ).toEqual(["Name | Size | Price", "Apple | small | 1.20", "Pear | large | 3.40"]);
});

test("two cells in one line are words set apart, not a table", () => {
  expect(textsOf(run("Left", 50, 700), run("Right", 300, 700))).toEqual(["Left Right"]);
});
