import fc from "fast-check";
import { expect, test } from "vitest";
import { column, fragments, prose, run } from "../testing/layout.ts";
import { orderFragments } from "./reading-order.ts";
import type { Run } from "./runs.ts";

/** The first words of all fragments as they are read; fragments of one region from top to bottom. */
function read(runs: readonly Run[], rtl = false): string[] {
  const { regions } = orderFragments(fragments(...runs), rtl);
  return regions.flatMap((region) =>
    region.toSorted((a, b) => b.y - a.y || a.x - b.x).map(({ text }) => text.split(" ")[0] ?? ""),
  );
}

const firstWords = (texts: readonly string[]): string[] => texts.map((text) => text.split(" ")[0] ?? "");

const LEFT = prose("left", 8);
const RIGHT = prose("right", 8);

/** The same lines, drawn from the top of the page down, across the columns. */
const acrossThePage = (runs: readonly Run[]): Run[] => runs.toSorted((a, b) => b.y - a.y || a.x - b.x);

test("two columns are read one after the other, also when they were drawn line by line across the page", () => {
  const page = acrossThePage([...column(LEFT, 50, 700), ...column(RIGHT, 280, 700)]);

  expect(read(page)).toEqual([...firstWords(LEFT), ...firstWords(RIGHT)]);
});

test("a title over two columns comes first and does not hide them", () => {
  const title = run("Title over the whole width of both columns of the page here", 50, 740, { size: 16 });
  const page = [...column(LEFT, 50, 700), title, ...column(RIGHT, 280, 700)];

  expect(read(page)).toEqual(["Title", ...firstWords(LEFT), ...firstWords(RIGHT)]);
});

test("a caption across the middle parts the columns above from those below", () => {
  const [a, b, c, d] = [prose("a", 5), prose("b", 5), prose("c", 5), prose("d", 5)];
  const caption = run("Caption ".padEnd(80, "y"), 50, 620);
  const page = acrossThePage([
    ...column(a, 50, 700),
    ...column(b, 280, 700),
    caption,
    ...column(c, 50, 580),
    ...column(d, 280, 580),
  ]);

  expect(read(page)).toEqual([a, b, ["Caption"], c, d].flatMap(firstWords));
});

test("three columns of a newsletter are three", () => {
  const [a, b, c] = [prose("a", 9, 28), prose("b", 9, 28), prose("c", 7, 28)];
  const page = acrossThePage([...column(a, 40, 700), ...column(b, 200, 700), ...column(c, 360, 700)]);

  expect(read(page)).toEqual([a, b, c].flatMap(firstWords));
  expect(orderFragments(fragments(...page), false).columns).toBe(3);
});

test("two columns above three are each read as they are", () => {
  const [a, b] = [prose("a", 6), prose("b", 6)];
  const [c, d, e] = [prose("c", 6, 26), prose("d", 6, 26), prose("e", 6, 26)];
  const above = [...column(a, 40, 700), ...column(b, 270, 700)];
  const below = [...column(c, 40, 580), ...column(d, 190, 580), ...column(e, 340, 580)];

  expect(read(acrossThePage([...above, ...below]))).toEqual([a, b, c, d, e].flatMap(firstWords));
});

test("columns of right-to-left text begin at the right", () => {
  const page = [...column(LEFT, 50, 700), ...column(RIGHT, 280, 700)];

  expect(read(page, true)).toEqual([...firstWords(RIGHT), ...firstWords(LEFT)]);
});

test("numbers beside names are rows, however they were drawn", () => {
  const names = ["Apples", "Pears", "Plums", "Figs", "Dates"];
  const prices = ["1.20", "3.40", "5.60", "7.80", "9.10"];
  const byColumns = [...column(names, 50, 700), ...column(prices, 250, 700)];
  const rows = names.flatMap((name, at) => [name, prices[at] ?? ""]);

  expect(read(byColumns)).toEqual(rows);
  expect(read(acrossThePage(byColumns))).toEqual(rows);
});

test("labels stay beside their values", () => {
  const labels = ["Name:", "Street:", "City:", "Phone:"];
  const values = ["Ada Lovelace", "St James's Square", "London", "none"];

  expect(read([...column(labels, 50, 700), ...column(values, 150, 700)])).toEqual(
    labels.flatMap((label, at) => [label, firstWords(values)[at] ?? ""]),
  );
});

test("rows whose cells are wrapped are read row by row", () => {
  const cell = (name: string, x: number, y: number) => column(prose(name, 2, 36), x, y);
  const rows = [700, 664, 628, 592].flatMap((y, at) => [
    ...cell(`l${at}-`, 50, y),
    ...cell(`r${at}-`, 270, y),
  ]);

  const order = read(acrossThePage(rows));

  const cells = [0, 1, 2, 3].flatMap((row) => [`l${row}-`, `r${row}-`]);
  expect(order).toEqual(cells.flatMap((name) => [`${name}0`, `${name}1`]));
});

test("short blocks side by side, each drawn as a whole, are read as blocks", () => {
  const from = ["Sender", "1 Old Street", "London"];
  const to = ["Recipient", "2 New Street", "Paris"];

  expect(read([...column(from, 50, 700), ...column(to, 300, 700)])).toEqual(firstWords([...from, ...to]));
});

test("gaps between words that lie under each other are no gutter", () => {
  const left = column(["one", "two", "six", "ten"], 50, 700);
  const right = column(["more of it", "and of that", "to the end", "of this"], 72, 700);

  expect(orderFragments(fragments(...acrossThePage([...left, ...right])), false).columns).toBe(1);
});

const anyRun = fc
  .record({
    x: fc.integer({ min: 0, max: 550 }),
    y: fc.integer({ min: 0, max: 800 }),
    size: fc.integer({ min: 1, max: 40 }),
    text: fc.string({ minLength: 1, maxLength: 60 }),
  })
  .map(({ text, x, y, size }) => run(text, x, y, { size }));

test("whatever lies wherever, each fragment is read exactly once", () => {
  fc.assert(
    fc.property(fc.array(anyRun, { maxLength: 60 }), fc.boolean(), (runs, rtl) => {
      const given = fragments(...runs);

      const told = orderFragments(given, rtl).regions.flat();

      expect(told).toHaveLength(given.length);
      expect(new Set(told)).toEqual(new Set(given));
    }),
  );
});

test("a page of 20,000 scattered pieces is ordered in seconds", () => {
  const scattered = Array.from({ length: 20_000 }, (_, at) =>
    run("word", (at * 7919) % 560, (at * 104_729) % 800, { size: 4 }),
  );
  const given = fragments(...scattered);

  const startedAt = performance.now();
  const { regions } = orderFragments(given, false);

  expect(regions.flat()).toHaveLength(given.length);
  expect(performance.now() - startedAt).toBeLessThan(8_000);
});
