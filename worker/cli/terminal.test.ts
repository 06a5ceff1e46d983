import { expect, test } from "vitest";
import { clip, cut, table } from "./terminal.ts";

test("a text of a document becomes one line that fits, with its characters whole", () => {
  expect(clip("  one\n two\tthree  ", 40)).toBe("one two three");
  expect(clip("😀😀😀😀", 3)).toBe("😀😀…");
});

test("a line of ours keeps its spaces", () => {
  expect(cut("  a   b", 40)).toBe("  a   b");
  expect(cut("abcdef", 4)).toBe("abc…");
});

test("columns line up by what is seen, not by colour codes", () => {
  const rows = [
    ["\u001b[1mjob\u001b[22m", "x"],
    ["longer", "y"],
    ["", "z"],
  ];

  expect(table(rows)).toEqual(["\u001b[1mjob\u001b[22m     x", "longer  y", "        z"]);
});

test("a row with fewer cells leaves no spaces behind", () => {
  expect(table([["a", "b"], ["ccc"], []])).toEqual(["a    b", "ccc", ""]);
});
