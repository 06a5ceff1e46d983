// Documents, limits and strategies for property tests: text that is as unkind as we can make it.
import fc from "fast-check";
import type { Segment } from "../../document/segment.ts";

const spaced = fc.constantFrom(
  "The",
  "quick",
  "brown",
  "fox,",
  "e.g.",
  "Mr.",
  "ran.",
  "Why?",
  "unaffable",
  "3.14",
  "(so)",
  "“Yes!”",
  "naïve",
  "Ünïcödé",
  "שלום",
  "العربية",
  "देवनागरी",
  "한국어",
  "ไทยภาษา",
  "https://example.org/a/b?c=d&e=f",
  "x".repeat(130),
  '{"a":1,"b":[2,3]}',
  "|",
  "name | number\n1",
  "|a|b|",
);
const unspaced = fc.constantFrom("東京都", "です。", "「はい！」", "漢字、", "がギ", "𠀀𠀁", "ﬁ");
const clusterish = fc.constantFrom(
  "👩‍👩‍👧‍👦",
  "🏳️‍🌈",
  "🇩🇪🇫🇷",
  "é",
  `z${"\u0335\u0322".repeat(20)}`,
  "👍🏽",
  "क्ष",
  "\u0600",
  "\u200d",
  "각",
  "‏",
);
const gaps = fc.constantFrom(
  " ",
  " ",
  " ",
  " ",
  "\n",
  "\n\n",
  "\r\n",
  "\r\n\r\n",
  "\t",
  "  \n \n",
  "\u3000",
  "\f",
  "",
);
const text = fc
  .array(
    fc.tuple(
      fc.oneof(
        { weight: 6, arbitrary: spaced },
        unspaced,
        clusterish,
        fc.string({ unit: "binary", maxLength: 8 }),
      ),
      gaps,
    ),
    { maxLength: 60 },
  )
  .map((parts) =>
    parts
      .map(([word, gap]) => word + gap)
      .join("")
      .toWellFormed(),
  );

/** Segments of all kinds in a row: glued and not, with places, speakers and times. */
export const segments = fc
  .array(
    fc.record({
      content: fc.oneof({ weight: 5, arbitrary: text }, fc.constantFrom("", " ", "\n\n", "a", "end\n")),
      pageNumber: fc.constantFrom(null, 1, 2, 3),
      section: fc.constantFrom("A", "A", "A", "A > B", null),
      speaker: fc.constantFrom(null, null, null, "Ann", "Bob"),
      startedMs: fc.option(fc.nat(1000)),
      endedMs: fc.option(fc.nat(1000)),
      glue: fc.boolean(),
    }),
    { maxLength: 8 },
  )
  .map((drafts) =>
    drafts.map(({ glue, ...draft }, index): Segment => {
      return { ...draft, seq: index + 1, content: draft.content + (glue ? "\n" : "") };
    }),
  );
export const limits = fc.record({
  tokens: fc.oneof(fc.integer({ min: 16, max: 64 }), fc.integer({ min: 1, max: 15 }), fc.constant(256)),
  overlapTokens: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 40 })),
  chars: fc.oneof(fc.constant(0), fc.integer({ min: 20, max: 400 }), fc.integer({ min: 1, max: 19 })),
  headingPrefix: fc.boolean(),
});

export const strategies = fc.constantFrom("recursive", "semantic", "fixed");
