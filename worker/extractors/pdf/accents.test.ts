import { expect, test } from "vitest";
import { drawn, run } from "../testing/layout.ts";
import { setAccents } from "./accents.ts";
import type { Run } from "./runs.ts";

const textsOf = (...runs: readonly Run[]): string[] =>
  setAccents({ frames: [{ angle: 0, runs: drawn(...runs) }], doubled: 0 }).frames.flatMap((frame) =>
    frame.runs.map(({ text }) => text),
  );

test("an accent that is drawn over a letter, before or after it, is the letter's", () => {
  expect(textsOf(run("a na¨", 50, 700), run("ıve C´", 70.9, 700), run("esar", 95.3, 700))).toEqual([
    "a na",
    "ïve C",
    "ésar",
  ]);
  expect(textsOf(run("cafe", 50, 700), run("´", 65.5, 701))).toEqual(["café"]);
  expect(textsOf(run("Thˆ", 50, 700), run("e", 60.3, 700), run("´ Th", 61, 701))).toEqual(["Th", "ế", "Th"]);
});

test("an accent that makes no letter, or stands beside one, stays a sign", () => {
  expect(textsOf(run("¯", 50, 700), run("x", 50, 700))).toEqual(["¯", "x"]);
  expect(textsOf(run("2^", 50, 700), run("e", 60, 700))).toEqual(["2^", "e"]);
});
