import { expect, test } from "vitest";
import { lines, run } from "../testing/layout.ts";
import { fillEmptyCells } from "./empty-cells.ts";
import type { Run } from "./runs.ts";
import { markRows } from "./tables.ts";

const cellsOf = (...runs: readonly Run[]): string[][] =>
  fillEmptyCells(markRows(lines(...runs))).map((line) => line.cells.map((cell) => cell.text));

/** A null is a cell in which nothing is drawn. */
const row = (y: number, texts: readonly (string | null)[]): Run[] =>
  texts.flatMap((text, at) => (text === null ? [] : [run(text, 50 + 100 * at, y)]));

test("what follows an empty cell stays below its own header", () => {
  expect(
    cellsOf(
      ...row(700, ["Name", "Size", "Price", "Note"]),
      ...row(688, ["Apple", null, "1.20", "red"]),
      ...row(676, [null, "large", "3.40", null]),
      ...row(664, ["Plum", "small", null, "blue"]),
      ...row(652, ["Fig", "small", "7.00", "dark"]),
      ...row(640, ["Kiwi", "large", "0.50", "green"]),
    ),
  ).toEqual([
    ["Name", "Size", "Price", "Note"],
    ["Apple", "", "1.20", "red"],
    ["", "large", "3.40"],
    ["Plum", "small", "", "blue"],
    ["Fig", "small", "7.00", "dark"],
    ["Kiwi", "large", "0.50", "green"],
  ]);
});

test("figures that are set to the right stand in the column whose edge they share", () => {
  const [, second] = cellsOf(
    ...row(700, ["Name", "Price in euros", "Count of pieces"]),
    run("Pear", 50, 688),
    run("7", 320, 688),
    ...row(676, ["Plum", "3", "12"]),
  );

  expect(second).toEqual(["Pear", "", "7"]);
});

test("a cell across two columns, and a gap within one row, leave the rows as they are", () => {
  const [title] = cellsOf(
    run("Fruit", 50, 712),
    run("Sizes and prices", 140, 712),
    ...row(700, ["Apple", "small one", "1.20"]),
    ...row(688, ["Pear", "large one", "3.40"]),
  );
  expect(title).toEqual(["Fruit", "Sizes and prices"]);

  const rows = cellsOf(
    ...row(700, ["Apple", null, "1.20"]),
    ...row(688, ["Pear", null, "3.40"]),
    ...row(676, ["Plum", "tree", "2.00"]),
  );
  expect(rows[0]).toEqual(["Apple", "1.20"]);
});
