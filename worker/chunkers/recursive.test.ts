import { describe, expect, test } from "vitest";
import type { Chunk } from "../document/chunk.ts";
import type { Segment } from "../document/segment.ts";
import type { Tokenizer } from "../document/tokenizer.ts";
import { Failure } from "../failure/failure.ts";
import { type ChunkLimits, type EmbedSnippets, SEAM_UNITS, type Seams } from "./chunker.ts";
import { openChunker } from "./open-chunker.ts";

/** One token a word: budgets in these tests can be counted by eye. */
const byWords: Tokenizer = { name: "words", count: (text) => text.match(/\S+/g)?.length ?? 0 };
/** One token a UTF-16 unit, white space too. */
const byUnits: Tokenizer = { name: "units", count: (text) => text.length };

const segment = (content: string, facts: Partial<Segment> = {}): Segment => ({
  seq: 1,
  pageNumber: null,
  section: null,
  speaker: null,
  startedMs: null,
  endedMs: null,
  ...facts,
  content,
});
const ten: ChunkLimits = { tokens: 10, overlapTokens: 0, chars: 0 };

const noMeanings: EmbedSnippets = async () => {
  throw new Error("This strategy compares nothing.");
};

async function* streamOf(segments: readonly Segment[]): AsyncGenerator<Segment> {
  yield* segments;
}

async function cut(
  input: string | readonly Segment[],
  limits = ten,
  tokenizer = byWords,
  strategy = "recursive",
) {
  const segments = typeof input === "string" ? [segment(input)] : input;
  const chunks: Chunk[] = [];
  for await (const chunk of openChunker(strategy, limits, tokenizer).cut(streamOf(segments), noMeanings))
    chunks.push(chunk);
  return chunks;
}
const contents = (chunks: readonly Chunk[]) => chunks.map((chunk) => chunk.content);

test("small paragraphs share a chunk up to the budget, and a cut falls between paragraphs", async () => {
  const chunks = await cut(
    "One two three.\n\nFour five six.\n\nSeven eight nine ten eleven. Twelve thirteen.",
  );

  expect(contents(chunks)).toEqual([
    "One two three.\n\nFour five six.",
    "Seven eight nine ten eleven. Twelve thirteen.",
  ]);
});

test("a heading stays with the text of its section, also when that is longer than a chunk", async () => {
  const chunks = await cut(
    "Heading\n\none two three four five six. seven eight nine ten eleven twelve.\nEnd.",
  );

  expect(chunks[0]?.content).toMatch(/^Heading\n\none two/);
});

test("another section ends a chunk, however little it holds", async () => {
  const chunks = await cut([
    segment("# A\n\nwords.\n\n", { seq: 1, section: "A" }),
    segment("## B\n\ntext.\n", { seq: 2, section: "A > B" }),
  ]);

  expect(contents(chunks)).toEqual(["# A\n\nwords.", "## B\n\ntext."]);
  expect(chunks.map((chunk) => chunk.section)).toEqual(["A", "A > B"]);
});

test("a heading without text of its own goes with the section below it, never with the one beside it", async () => {
  const below = await cut([
    segment("A\n\n", { seq: 1, section: "A" }),
    segment("B\n\ntext.\n", { seq: 2, section: "A > B" }),
  ]);
  const beside = await cut([
    segment("A\n\n", { seq: 1, section: "A" }),
    segment("B\n\ntext.\n", { seq: 2, section: "B" }),
  ]);

  expect(below.map((chunk) => [chunk.section, chunk.content])).toEqual([["A > B", "A\n\nB\n\ntext."]]);
  expect(contents(beside)).toEqual(["A", "B\n\ntext."]);
});

test("a sentence ends where the next begins, not at an abbreviation, an initial or a number", async () => {
  const chunks = await cut(
    "one two three four five six seven. See Dr. J. Smith, e.g. 3.14 or so, for more of it.",
  );

  expect(chunks[0]?.content).toBe("one two three four five six seven.");
});

test("a line that a machine wrapped is no better a cut than a clause; a line of its own is", async () => {
  const wrapped = await cut(
    "A sentence of six words here.\nThis is the longer sentence that somebody hard-wrapped\nin the middle of it.",
  );
  const list = await cut("- a b c d\n- e f g\n- h i\n- j k\n- l m");

  expect(wrapped[0]?.content).toBe("A sentence of six words here.");
  expect(list[0]?.content).toBe("- a b c d\n- e f g");
});

test("text without spaces is cut after its own stops", async () => {
  const chunks = await cut(
    "これは長い文です。「短い！」そして次の文が続く、まだ続く。",
    { ...ten, tokens: 16 },
    byUnits,
  );

  expect(contents(chunks)).toEqual(["これは長い文です。「短い！」", "そして次の文が続く、まだ続く。"]);
});

test("what is left at the end of a passage is no sliver", async () => {
  const chunks = await cut("a b c d e f g h i j k");

  expect(chunks.map((chunk) => chunk.tokenCount)).toEqual([8, 3]);
});

test("fixed windows are as full as they can be", async () => {
  const chunks = await cut("a b.\n\nc d e f g h i j k l", ten, byWords, "fixed");

  expect(contents(chunks)).toEqual(["a b.\n\nc d e f g h i j", "k l"]);
});

test("segments without white space between them give chunks of their own", async () => {
  const chunks = await cut([
    segment("Hello.", { seq: 1 }),
    segment("Yes.", { seq: 2 }),
    segment("No.", { seq: 3 }),
  ]);

  expect(contents(chunks)).toEqual(["Hello.", "Yes.", "No."]);
  expect(chunks.map((chunk) => [chunk.segmentFrom, chunk.segmentTo])).toEqual([
    [1, 1],
    [2, 2],
    [3, 3],
  ]);
});

test("glued segments of one speaker share a chunk with their time range; another speaker ends it", async () => {
  const chunks = await cut([
    segment("Hello.\n", { seq: 1, speaker: "Ann", startedMs: 0, endedMs: 900 }),
    segment("  \n", { seq: 2, speaker: "Bob", startedMs: 900, endedMs: 950 }),
    segment("Again.\n", { seq: 3, speaker: "Ann", startedMs: 1000, endedMs: 2000 }),
    segment("Hi.\n", { seq: 4, speaker: "Bob", startedMs: 2000, endedMs: 2500 }),
  ]);

  expect(contents(chunks)).toEqual(["Hello.\n  \nAgain.", "Hi."]);
  expect(chunks[0]).toMatchObject({
    speaker: "Ann",
    startedMs: 0,
    endedMs: 2000,
    segmentFrom: 1,
    segmentTo: 3,
  });
  expect(chunks[1]).toMatchObject({
    speaker: "Bob",
    startedMs: 2000,
    endedMs: 2500,
    segmentFrom: 4,
    segmentTo: 4,
  });
});

test("a chunk may span pages and bears the page of its first visible character", async () => {
  const chunks = await cut([
    segment("\n\n", { seq: 1, pageNumber: 1 }),
    segment(" first page\n", { seq: 2, pageNumber: 2 }),
    segment("second page", { seq: 3, pageNumber: 3 }),
  ]);

  expect(chunks).toHaveLength(1);
  expect(chunks[0]).toMatchObject({ pageNumber: 2, charStart: 3, content: "first page\nsecond page" });
});

test("the overlap repeats whole sentences where they fit", async () => {
  const chunks = await cut("One two three four five. Six seven eight. Nine ten eleven twelve. Thirteen.", {
    ...ten,
    overlapTokens: 4,
  });

  expect(contents(chunks)).toEqual([
    "One two three four five. Six seven eight.",
    "Six seven eight. Nine ten eleven twelve. Thirteen.",
  ]);
});

test("an overlap as large as the budget takes at most half of a chunk, so that the text goes on", async () => {
  const text = Array.from({ length: 100 }, (_, index) => `w${index}`).join(" ");

  const chunks = await cut(text, { ...ten, overlapTokens: 1000 });

  expect(chunks.length).toBeLessThanOrEqual(25);
  expect(chunks.at(-1)?.charEnd).toBe(text.length);
});

test("the heading prefix is for embedding only and counts in both budgets", async () => {
  const section = "Guide > Start";
  const limits = { tokens: 12, overlapTokens: 0, chars: 60, headingPrefix: true };

  const chunks = await cut([segment("a b c d e f g h i j k l m n o p q r", { section })], limits);

  expect(chunks.map((chunk) => chunk.embedPrefix)).toEqual(["Guide > Start\n", "Guide > Start\n"]);
  for (const chunk of chunks) {
    expect(chunk.content).not.toContain("Guide");
    expect(chunk.tokenCount).toBe(byWords.count(chunk.embedPrefix + chunk.content));
    expect(chunk.tokenCount).toBeLessThanOrEqual(12);
  }
});

test("a heading prefix above a quarter of the budget is left out", async () => {
  const limits = { ...ten, headingPrefix: true };

  const chunks = await cut([segment("text", { section: "One > Two > Three" })], limits);

  expect(chunks[0]).toMatchObject({ embedPrefix: "", tokenCount: 1 });
});

test("nothing, and nothing but white space, gives no chunk", async () => {
  const inputs = [[], [segment("")], [segment(" \n\t\u3000"), segment("\n".repeat(100_000))]];

  const answers = await Promise.all(inputs.map((input) => cut(input)));

  expect(answers).toEqual([[], [], []]);
});

test("a cluster above the budget is cut between code points, a code point never", async () => {
  const family = "👩‍👩‍👧‍👦";

  const cutFamily = await cut(family, { tokens: 4, overlapTokens: 0, chars: 0 }, byUnits);
  const single = await cut("a😀b", { tokens: 1, overlapTokens: 0, chars: 0 }, byUnits);

  expect(contents(cutFamily).join("")).toBe(family);
  expect(contents(cutFamily).every((content) => content.isWellFormed() && content.length <= 4)).toBe(true);
  expect(contents(single)).toEqual(["a", "😀", "b"]);
});

test("a tokenizer that counts more for a text than for its words still never goes above the budgets", async () => {
  const dear: Tokenizer = { name: "dear", count: (text) => Math.ceil(text.length ** 1.2) };
  const text = "some words that cost more together than alone, again and again. ".repeat(4);

  const chunks = await cut(text, { tokens: 60, overlapTokens: 22, chars: 0 }, dear);

  expect(chunks.length).toBeGreaterThan(4);
  for (const [index, chunk] of chunks.entries()) {
    const shared = text.slice(chunk.charStart, Math.max(chunk.charStart, chunks[index - 1]?.charEnd ?? 0));
    expect(dear.count(chunk.content)).toBeLessThanOrEqual(60);
    expect(dear.count(shared)).toBeLessThanOrEqual(22);
  }
});

test("a tokenizer that counts nothing still gives chunks of bounded length", async () => {
  const blind: Tokenizer = { name: "blind", count: () => 0 };

  const chunks = await cut("word ".repeat(10_000), ten, blind);

  for (const chunk of chunks) expect(chunk.content.length).toBeLessThanOrEqual(320);
});

test("a chunk leaves as soon as it is certain: at most two chunks' text is held back", async () => {
  let given = 0;
  async function* endless(): AsyncGenerator<Segment> {
    for (let seq = 1; ; seq++) {
      given += 3;
      yield segment("one two three.\n", { seq });
    }
  }

  let taken = 0;
  for await (const chunk of openChunker("recursive", ten, byWords).cut(endless(), noMeanings)) {
    taken += chunk.tokenCount;
    expect(given - taken).toBeLessThanOrEqual(20);
    if (taken > 3000) break;
  }

  expect(taken).toBeGreaterThan(3000);
});

// Quadratic code would need hours for these; what fails here is the test run's own time limit.
test.each([
  ["a"],
  [" "],
  ["東"],
  ["\u0301"],
  ["👩‍👧"],
  ["a b\n"],
  ["\n"],
  ['{"k":1},'],
])("a megabyte of %j in one segment is cut to its end", async (unit) => {
  const text = `${unit.repeat(1_000_000 / unit.length)} end`;

  const chunks = await cut(text, { tokens: 256, overlapTokens: 0, chars: 1200 }, byUnits);

  expect(chunks.at(-1)?.charEnd).toBe(text.length);
});

test("an unknown strategy and a budget of nothing are refused by name", () => {
  const attempts = [
    () => openChunker("percentile", ten, byWords),
    () => openChunker("", ten, byWords),
    () => openChunker("recursive", { ...ten, tokens: 0 }, byWords),
    () => openChunker("fixed", { ...ten, chars: -1 }, byWords),
  ];

  const codes = attempts.map((attempt) => {
    try {
      return attempt();
    } catch (thrown) {
      return thrown instanceof Failure ? thrown.code : thrown;
    }
  });

  expect(codes).toEqual(attempts.map(() => "config.invalid"));
});

/** As rag_read_seams tells them. */
function seamsOf(former: readonly Chunk[]): Seams {
  const seams = new Map<string, number[]>();
  for (const [at, { content, charStart }] of former.entries()) {
    const repeated = Math.max((former[at - 1]?.charEnd ?? 0) - charStart, 0);
    const seam = content.slice(repeated).trimStart().slice(0, SEAM_UNITS);
    if (seam.length === SEAM_UNITS) seams.set(seam, [...(seams.get(seam) ?? []), at]);
  }
  return seams;
}

const edits: readonly [string, (old: string) => string][] = [
  ["one more sentence", (old) => `${old} And one more sentence that was not there before.`],
  ["half of it gone", (old) => old.slice(0, old.length / 2)],
  ["other words", () => "Other words stand here now, and they are many. ".repeat(3).trim()],
];

// Where chunks overlap, the one behind the edit repeats some of it.
describe.each([
  [0, 3],
  [8, 4],
])("behind an edit, with an overlap of %i tokens,", (overlapTokens, most) => {
  const limits = { tokens: 40, overlapTokens, chars: 0 };
  const anew = async (edited: readonly string[], former: readonly Chunk[], seams: Seams) => {
    const chunker = openChunker("recursive", limits, byWords);
    const known = new Set(contents(former));
    let count = 0;
    for await (const chunk of chunker.cut(streamOf([segment(edited.join("\n\n"))]), noMeanings, seams))
      if (!known.has(chunk.content)) count += 1;
    return count;
  };
  const sentences = (from: number, many: number) =>
    Array.from({ length: many }, (_, at) => `Sentence ${from + at} is about thing number ${from + at}.`);
  // What stands again and again looks like the beginning of many chunks.
  const example = "const server = openServer({ port: 8080, host: null });";
  const text = Array.from({ length: 80 }, (_, at) => {
    const paragraph = sentences(at * 10, 1 + ((at * 7) % 5)).join(" ");
    return at % 3 === 0 ? `${example}\n${paragraph}` : paragraph;
  });

  test.each(edits)("a text with %s is cut where it was cut before", async (_what, edit) => {
    const former = await cut(text.join("\n\n"), limits);
    const all = text.map((old, at) => text.with(at, edit(old)));

    const withSeams = await Promise.all(all.map((edited) => anew(edited, former, seamsOf(former))));
    const without = await Promise.all(all.map((edited) => anew(edited, former, new Map())));

    expect(await anew(text, former, seamsOf(former))).toBe(0);
    expect(Math.max(...withSeams)).toBeLessThanOrEqual(most);
    expect(Math.max(...without)).toBeGreaterThan(most);
  });
});
