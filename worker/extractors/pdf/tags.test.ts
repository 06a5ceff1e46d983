import { expect, test } from "vitest";
import { drawn, run } from "../testing/layout.ts";
import { composePage, draftPage } from "./compose-page.ts";
import { createWordJoiner } from "./join-words.ts";
import { paragraphsOf } from "./paragraphs.ts";
import type { Run } from "./runs.ts";
import { placesOf, type TagPlace } from "./tags.ts";

const content = (id: string) => ({ type: "content", id });
const tag = (role: string, ...children: object[]) => ({ role, children });

const TREE = {
  role: "Root",
  children: [
    tag("Document", tag("H1", content("h")), tag("P", content("p1"), tag("Span", content("p2")))),
    tag(
      "Table",
      tag("TR", tag("TH", content("a")), tag("TD", tag("P", content("b1")), tag("P", content("b2")))),
    ),
    tag("L", tag("LI", tag("Lbl", content("mark")), tag("LBody", tag("P", content("item"))))),
  ],
};

test("tags give the order of blocks, heading levels, rows and their cells", () => {
  const places = placesOf(TREE);
  const of = (id: string): TagPlace | undefined => places.get(id);

  expect(of("h")?.level).toBe(1);
  expect(of("p1")?.block).toBe(of("p2")?.block);
  expect(of("h")?.block).toBeLessThan(of("p1")?.block ?? 0);
  expect(of("b1")).toEqual(of("b2"));
  expect(of("a")?.block).toBe(of("b1")?.block);
  expect(of("a")?.cell).toBeLessThan(of("b1")?.cell ?? 0);
  expect(of("mark")?.block).toBe(of("item")?.block);
});

test("a tree of 60,000 levels does not overflow", () => {
  let node: object = content("deep");
  for (let level = 0; level < 60_000; level += 1) node = { role: "Div", children: [node] };

  expect(placesOf(node).has("deep")).toBe(true);
});

function compose(runs: readonly Run[], suspect = false): string[] {
  const page = { frames: [{ angle: 0, runs: drawn(...runs) }], doubled: 0 };
  const { lines } = composePage(
    draftPage(page, { view: [0, 0, 595, 842], tags: placesOf(TREE), suspect }),
    new Set(),
    () => false,
  );
  return paragraphsOf(lines, createWordJoiner()).map((block) => ("text" in block ? block.text : ""));
}

const PAGE = [
  run("second half", 50, 400, { mark: "p2" }),
  run("First half,", 50, 412, { mark: "p1" }),
  run("Heading", 50, 300, { mark: "h" }),
  run("Cell", 50, 200, { mark: "a" }),
  run("upper", 70, 206, { mark: "b1" }),
  run("lower", 70, 194, { mark: "b2" }),
];

test("where tags cover a page its blocks are read in their order, cells as cells", () => {
  expect(compose(PAGE)).toEqual(["Heading", "First half, second half", "Cell | upper lower"]);
});

test("tags that cover little of a page, or that the document itself suspects, do not order it", () => {
  const loose = PAGE.map((one, at) => (at < 4 ? { ...one, mark: null } : one));

  expect(compose(loose)[0]).toContain("First half");
  expect(compose(PAGE, true)[0]).toContain("First half");
});

test("what tags leave out is kept: first when it stands above all else, else last", () => {
  expect(compose([...PAGE, run("Above all", 50, 700)])[0]).toBe("Above all");
  expect(compose([...PAGE, run("Below all", 50, 50)]).at(-1)).toBe("Below all");
});
