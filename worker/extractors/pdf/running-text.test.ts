import { expect, test } from "vitest";
import { column, fragments, prose, run } from "../testing/layout.ts";
import { edgesOf, type PageEdges, runningOf } from "./running-text.ts";
import type { Run } from "./runs.ts";

const A4 = { low: 0, high: 842 };

/** The texts that run on the page in the middle of five. */
function leftOut(page: (number: number) => readonly Run[], pages = 5, looked = 3): string[] {
  const edges = new Map<number, PageEdges>();
  for (let number = 1; number <= pages; number += 1)
    edges.set(number, edgesOf(fragments(...page(number)), A4));
  return [...runningOf(looked, edges, pages)].map((fragment) => fragment.text);
}

const body = (number: number): Run[] => column(prose(`page${number}-`, 20), 50, 700);

test("the same words above the text of several pages, and numbers that count the pages, run", () => {
  const page = (number: number) => [
    run("Annual Report", 50, 780),
    ...body(number),
    run(`Page ${number} of 5`, 250, 40),
  ];

  expect(leftOut(page)).toEqual(["Annual Report", "Page 3 of 5"]);
});

test("left and right pages may have headers of their own", () => {
  const page = (number: number) => [
    run(number % 2 === 0 ? "The Book" : "A Chapter", 50, 780),
    ...body(number),
  ];

  expect(leftOut(page, 8)).toEqual(["A Chapter"]);
});

test("the words beside a page number run with it, though they change with the chapter", () => {
  const page = (number: number) => [
    run(`${number}`, 50, 780),
    run(`Chapter ${number % 4}x`, 300, 780),
    ...body(number),
  ];

  expect(leftOut(page)).toEqual(["3", "Chapter 3x"]);
});

test("Roman numbers count pages too", () => {
  expect(
    leftOut((number) => [...body(number), run(["i", "ii", "iii", "iv", "v"][number - 1] ?? "", 300, 40)]),
  ).toEqual(["iii"]);
});

test("numbers that do not count the pages stay", () => {
  expect(leftOut((number) => [run(`Total ${number * 37}`, 50, 780), ...body(number)])).toEqual([]);
  expect(leftOut((number) => [run(`Question ${number}`, 50, 780), ...body(number)])).toEqual([]);
});

test("what two pages of five share stays", () => {
  expect(
    leftOut((number) => [run(number < 3 ? "x y" : `z ${"abc"[number - 3]}`, 50, 780), ...body(number)], 5, 1),
  ).toEqual([]);
});

test("a table's head repeated on each page stays with its rows", () => {
  const head = [run("Name", 50, 712), run("Price", 200, 712)];

  expect(leftOut((number) => [...head, ...body(number)])).toEqual([]);
});

test("titles that some slides share stay, set larger as they are", () => {
  const slide = (number: number) => [
    run(number > 1 && number < 5 ? "Results" : `Slide of its own ${"abcdefgh"[number]}`, 50, 760, {
      size: 24,
    }),
    ...body(number),
  ];

  expect(leftOut(slide, 8)).toEqual([]);
});

test("a last line that pages share is their own when it stands well above the bottom of the page", () => {
  const page = (y: number) => (number: number) => [...body(number), run("Signed by both parties", 50, y)];

  expect([leftOut(page(190)), leftOut(page(90))]).toEqual([[], ["Signed by both parties"]]);
});

test("a page that holds nothing else keeps its words", () => {
  expect(leftOut(() => [run("The same words on each page", 50, 700)])).toEqual([]);
});

test("a watermark across several pages runs wherever it stands", () => {
  const edges = new Map(
    [1, 2, 3].map((number) => [
      number,
      edgesOf(fragments(...body(number)), A4, fragments(run("DRAFT", 200, 400, { size: 60 }))),
    ]),
  );

  expect([...runningOf(2, edges, 3)].map((fragment) => fragment.text)).toEqual(["DRAFT"]);
});

test("what the producer marked as no content needs one more page only", () => {
  const page = (artifact: boolean) => (number: number) => [
    run("Firm", 50, 780, { artifact }),
    ...body(number),
  ];

  expect([leftOut(page(true), 2, 1), leftOut(page(false), 2, 1)]).toEqual([["Firm"], []]);
});
