import { expect, test } from "vitest";
import { column, drawn, run } from "../testing/layout.ts";
import { joinDropCapitals } from "./drop-capitals.ts";
import { fragmentsOf } from "./fragments.ts";
import { linesOfRegion } from "./lines.ts";
import type { Run } from "./runs.ts";

function linesWith(...runs: readonly Run[]): string[] {
  const { frames } = joinDropCapitals({ frames: [{ angle: 0, runs: drawn(...runs) }], doubled: 0 });
  return linesOfRegion(fragmentsOf(frames[0]?.runs ?? []), { block: 0 }).map((line) => line.text);
}

const beside = (first: string, more: Partial<Run> = {}): Run[] => [
  { ...run(first, 68, 700), ...more },
  ...column(["the second line beside it", "and the third one"], 68, 688),
  ...column(["the fourth, below it"], 50, 664),
];

test("a capital that hangs beside the first lines of its paragraph begins the first of them", () => {
  const [first] = linesWith(run("O", 50, 676, { size: 34 }), ...beside("nce upon a time"));

  expect(first).toBe("Once upon a time");
  expect(linesWith(run("A", 50, 676, { size: 34 }), ...beside("tale of", { spaced: true }))).toEqual([
    "A tale of",
    "the second line beside it",
    "and the third one",
    "the fourth, below it",
  ]);
});

test("a large letter that no second line stands beside is left where it is", () => {
  expect(linesWith(run("B", 50, 676, { size: 34 }), run("elow the title", 68, 700))).not.toContain(
    "Below the title",
  );
  expect(linesWith(run("C", 50, 676, { size: 34 }), ...beside("42 figures"))).not.toContain("C42 figures");
});
