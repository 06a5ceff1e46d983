import { expect, test } from "vitest";
import { ago } from "./words.ts";

test.each([
  [3.4, "3 s"],
  [86_399, "23 h 59 min"],
  [86_400, "1 d"],
  [90_000, "1 d 1 h"],
  [172_800, "2 d"],
])("%d seconds are %s", (seconds, words) => {
  expect(ago(seconds)).toBe(words);
});
