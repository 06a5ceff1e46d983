import { expect, test } from "vitest";
import { createWordJoiner } from "./join-words.ts";

function join(text: string, next: string, learned: readonly string[] = []): string | null {
  const joiner = createWordJoiner();
  for (const line of learned) joiner.learn(line);
  return joiner.join(text, next);
}

test("a cut word is made whole", () => {
  expect(join("for exam-", "ple this")).toBe("for example this");
  expect(join("Donau\u00ad", "dampf")).toBe("Donaudampf");
});

test("a hyphen of the word stays: where it is written so elsewhere, in compounds, before capitals and numbers", () => {
  expect(join("a well-", "known fact")).toBe("a well-known fact");
  expect(join("state-of-", "the-art")).toBe("state-of-the-art");
  expect(join("a rule-", "based one")).toBe("a rule-based one");
  expect(join("Baden-", "Baden")).toBe("Baden-Baden");
  expect(join("1990-", "1995")).toBe("1990-1995");
  expect(join("the wave-", "form", ["a wave-form"])).toBe("the wave-form");
});

test("the document's own words decide: the joined word where it has it, else two words that stand alone", () => {
  expect(join("peer-", "review", ["a peer did", "the review"])).toBe("peer-review");
  expect(join("some-", "times", ["some", "times"])).toBe("sometimes");
  expect(join("data-", "base", ["the database", "data", "base"])).toBe("database");
});

test("a soft hyphen stays where no word is cut: some fonts have one sign for both kinds", () => {
  expect(join("1990\u00ad", "1995")).toBe("1990-1995");
  expect(join("Baden\u00ad", "Baden")).toBe("Baden-Baden");
  expect(join("KAPI\u00ad", "TEL")).toBe("KAPITEL");
});

test("a word cut at a line's end is not learned as a word", () => {
  expect(join("exam-", "ple", ["exam-", "ple x"])).toBe("example");
});

test("a hyphen that stands for a part of the next word keeps both words", () => {
  expect(join("Ein-", "und Ausgabe")).toBe("Ein- und Ausgabe");
});

test("a dash, a line without a cut, and a cut before a sign are left alone", () => {
  expect([join("that –", "this"), join("no cut", "here"), join("odd-", "(sign)")]).toEqual([
    null,
    null,
    null,
  ]);
});
