import fc from "fast-check";
import { getEncoding } from "js-tiktoken";
import { describe, expect, test } from "vitest";
import { openTiktoken } from "./tiktoken.ts";

// Held against js-tiktoken wherever that finishes.
describe.each(["cl100k_base", "o200k_base"] as const)("%s", (name) => {
  const reference = getEncoding(name);
  const ours = openTiktoken(name);
  const expected = (text: string) => reference.encode(text, [], []).length;

  test("counts plain, foreign and odd texts as js-tiktoken does", () => {
    const texts = [
      "",
      " ",
      "Hello, world! It's 1234567 o'clock; they'LL see.",
      "  indented\n\n\n\tcode();   // trailing   \r\n\r\n",
      "东京都の漢字とかな、한국어 텍스트, русский текст, العربية, עברית, हिन्दी",
      "👩‍👩‍👧‍👦🏳️‍🌈 naïve café Z̵̢͑a̸lgo",
      "<div class='a'>{\"k\": [1, 2, 3]}</div> https://example.org/?q=a%20b#c",
      "CamelCaseWORDSAndÉÀ mIxEd",
      "a".repeat(300),
      " ".repeat(300),
      `${" ".repeat(200)}x`,
      "\n".repeat(200),
      "=-".repeat(150),
      "東".repeat(120),
    ];

    const counts = texts.map((text) => ours.count(text));

    expect(counts).toEqual(texts.map(expected));
  });

  test("counts random text as js-tiktoken does", () => {
    const word = fc.oneof(
      fc.string({ unit: "binary", maxLength: 12 }),
      fc.string({
        unit: fc.constantFrom("a", "b", "A", "é", "1", " ", "\n", "'", "s", ".", "中", "\u0301"),
        maxLength: 40,
      }),
    );
    fc.assert(
      fc.property(fc.array(word, { maxLength: 6 }), (words) => {
        const text = words.join(" ").toWellFormed();
        expect(ours.count(text)).toBe(expected(text));
      }),
      { numRuns: 400 },
    );
  });

  test("special tokens in a text are ordinary text", () => {
    const count = ours.count("<|endoftext|>");

    expect(count).toBe(expected("<|endoftext|>"));
    expect(count).toBeGreaterThan(1);
  });

  test("runs of one sign or of two count as by js-tiktoken, whatever stands around them", () => {
    const unit = fc.constantFrom(..."-=*#_./\\~!?0aA \n\t東é─", "-=", "ab", "ha", "\r\n", "=\n");
    const around = fc.constantFrom("", " ", "|", "x", "\n", "--", " =");
    fc.assert(
      fc.property(
        around,
        unit,
        fc.integer({ min: 1, max: 120 }),
        around,
        unit,
        (before, one, times, between, other) => {
          const text = before + one.repeat(times) + between + other.repeat(times % 40);
          expect(ours.count(text)).toBe(expected(text));
        },
      ),
      { numRuns: 150 },
    );
  });

  test("a long text of everything counts as by js-tiktoken", () => {
    const words = [
      "Don't",
      " we'll",
      "  \n\n",
      " über",
      " ABCdef",
      "1234567",
      " -- ",
      "日本語",
      " the",
      "\t",
      "👍🏽",
    ];
    let text = "";
    for (let at = 0; text.length < 50_000; at++) text += words[(at * 7 + (at >> 3)) % words.length] ?? "";

    expect(ours.count(text)).toBe(expected(text));
  });

  test("a word of a thousand letters that nobody wrote counts as by js-tiktoken", () => {
    const letters = fc.sample(fc.constantFrom(..."abcdefgh東京都é"), { seed: 5, numRuns: 1000 }).join("");

    expect(ours.count(letters)).toBe(expected(letters));
  });

  test("a run of two million letters without a space is counted: a regular expression would overflow", () => {
    expect(ours.count("漢字".repeat(1_000_000))).toBeGreaterThan(1_000_000);
  });

  // js-tiktoken would need hours for these; what fails here is the test run's own time limit.
  test.each([
    ["a"],
    [" "],
    ["東"],
    ["\n"],
    ["é"],
    ["A"],
    ["!"],
    ["1"],
    ["-"],
    ["="],
  ])("300,000 times %j ends, and counts no more than its parts", (letter) => {
    const long = ours.count(letter.repeat(300_000));

    expect(long).toBeGreaterThan(0);
    expect(long).toBeLessThanOrEqual(1000 * ours.count(letter.repeat(300)));
  });
});
