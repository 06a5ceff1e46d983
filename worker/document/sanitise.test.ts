import fc from "fast-check";
import { expect, test } from "vitest";
import { sanitise, sanitiseJson } from "./sanitise.ts";

test.each([
  ["NUL and other controls vanish", "a\0b\u0001c\u0008d\u007fe\u0080f\u009fg", "abcdefg"],
  ["tabs and line ends stay", "a\tb\r\nc\nd\re", "a\tb\r\nc\nd\re"],
  ["controls that end lines end lines", "a\fb\vc\u0085d", "a\nb\nc\nd"],
  ["information separators part words", "a\u001cb\u001dc\u001ed\u001fe", "a b c d e"],
  ["a byte order mark in a word does not part it", "\ufeffwo\ufeffrd", "word"],
  [
    "lone surrogates and noncharacters show that something was there",
    "a\ud800b\uffffc\ufdd0d\u{1fffe}",
    "a\ufffdb\ufffdc\ufffdd\ufffd",
  ],
  ["private use, joiners and pairs stay", "\ue000👩\u200d👧 \u00ad𐐀", "\ue000👩\u200d👧 \u00ad𐐀"],
])("%s", (_, text, clean) => {
  expect(sanitise(text)).toBe(clean);
});

test("clean text comes back as it is, and a second time changes nothing", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      const clean = sanitise(text);
      expect(sanitise(clean)).toBe(clean);
      expect(clean.isWellFormed()).toBe(true);
      expect(clean).not.toMatch(/[[\p{Cc}]--[\t\n\r]]/v);
    }),
  );
});

test("keys and values of JSON are cleaned to any depth", () => {
  const value = { "a\0": ["b\u0001", { c: "d\ud800" }], n: 1 };

  expect(sanitiseJson(value)).toEqual({ a: ["b", { c: "d\ufffd" }], n: 1 });
});
