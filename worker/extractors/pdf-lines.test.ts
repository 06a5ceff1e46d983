import { expect, test } from "vitest";
import { linesOfPage } from "./pdf-lines.ts";

type Content = Parameters<typeof linesOfPage>[0];

function item(str: string, x: number, y: number, hasEOL = false) {
  return {
    str,
    dir: "ltr",
    transform: [10, 0, 0, 10, x, y],
    width: str.length * 5,
    height: 10,
    fontName: "f",
    hasEOL,
  };
}

const content = (items: readonly object[]): Content =>
  ({ items, styles: {}, lang: null }) as unknown as Content;

test("items of one line are joined, an end of line begins the next", () => {
  const lines = linesOfPage(
    content([item("Hello", 10, 700), item(" ", 35, 700), item("you", 40, 700, true), item("next", 10, 688)]),
    new Map(),
  );

  expect(lines.map(({ text, y, x }) => ({ text, y, x }))).toEqual([
    { text: "Hello you", y: 700, x: 10 },
    { text: "next", y: 688, x: 10 },
  ]);
});

test("a step down without an end of line begins a line too", () => {
  const lines = linesOfPage(content([item("one", 10, 700), item("two", 10, 680)]), new Map());

  expect(lines.map((line) => line.text)).toEqual(["one", "two"]);
});

test("characters that mean nothing mark their line; a control between words is a space", () => {
  const lines = linesOfPage(
    content([item("\x02\x03\ue001\ue002 a", 10, 700, true), item("The\x02degree", 10, 688)]),
    new Map(),
  );

  expect(
    lines.map(({ text, unreadable }) => [text.length > 0 && !unreadable ? text : "", unreadable]),
  ).toEqual([
    ["", true],
    ["The degree", false],
  ]);
});

test("a line knows the heading level of the tag it stands in, and no other", () => {
  const tagged = [
    { type: "beginMarkedContentProps", id: "h", tag: "H1" },
    item("Title", 10, 700, true),
    { type: "endMarkedContent" },
    item("body", 10, 680),
  ];

  const lines = linesOfPage(content(tagged), new Map([["h", 1]]));

  expect(lines.map((line) => line.tagLevel)).toEqual([1, null]);
});
