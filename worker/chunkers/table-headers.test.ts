import { expect, test } from "vitest";
import type { Chunk } from "../document/chunk.ts";
import type { Tokenizer } from "../document/tokenizer.ts";
import type { ChunkLimits } from "./chunker.ts";
import { openChunker } from "./open-chunker.ts";

/** One token a word: budgets in these tests can be counted by eye. */
const byWords: Tokenizer = { name: "words", count: (text) => text.match(/\S+/g)?.length ?? 0 };
const twenty: ChunkLimits = { tokens: 20, overlapTokens: 0, chars: 0 };

async function cut(text: string | readonly string[], limits = twenty): Promise<readonly Chunk[]> {
  async function* segments() {
    for (const [at, content] of [text].flat().entries())
      yield {
        seq: at + 1,
        content,
        pageNumber: at + 1,
        section: "S",
        speaker: null,
        startedMs: null,
        endedMs: null,
      };
  }
  const chunks: Chunk[] = [];
  for await (const chunk of openChunker("recursive", limits, byWords).cut(segments(), async () => []))
    chunks.push(chunk);
  return chunks;
}
const prefixes = (chunks: readonly Chunk[]) => chunks.map((chunk) => chunk.embedPrefix);

const rows = (count: number) =>
  Array.from({ length: count }, (_, at) => `town${at} | ${at * 10} people | river`);
const table = ["Place | Size | Water", ...rows(8)].join("\n");

test("a chunk that begins among a table's rows repeats the header row for embedding, and counts it", async () => {
  const chunks = await cut(table);

  expect(prefixes(chunks)).toEqual(["", ...chunks.slice(1).map(() => "Place | Size | Water\n")]);
  expect(chunks.length).toBeGreaterThan(3);
  for (const chunk of chunks) {
    expect(chunk.tokenCount).toBe(byWords.count(chunk.embedPrefix + chunk.content));
    expect(chunk.tokenCount).toBeLessThanOrEqual(20);
    expect(chunk.content).toBe(table.slice(chunk.charStart, chunk.charEnd));
  }
});

test("text before and after the table has no header put before it, and each table its own", async () => {
  const prose = "Nothing here belongs to any table, and so it goes on for more words than fit beside one.";
  const other = ["Name | Age", ...rows(6)].join("\n");
  const parts = [prose, table, prose, other, prose];
  const text = parts.join("\n\n");

  for (const { charStart, embedPrefix } of await cut(text)) {
    const above = text.slice(0, charStart).split("\n\n");
    const header = parts[above.length - 1]?.split("\n")[0];
    const isInBody = above.length % 2 === 0 && above.at(-1) !== "";
    expect(embedPrefix).toBe(isInBody ? `${header}\n` : "");
  }
});

test("a Markdown table with bars at the ends of its lines is one too", async () => {
  const chunks = await cut(["|Place|Size|", "|---|---|", ...rows(8).map((row) => `|${row}|`)].join("\n"));

  expect(prefixes(chunks.slice(1)).every((prefix) => prefix === "|Place|Size|\n")).toBe(true);
});

test("a table that goes on over pages keeps its header", async () => {
  const lines = ["Place | Size | Water", ...rows(9)].map((line) => `${line}\n`);
  const chunks = await cut([lines.slice(0, 4).join(""), lines.slice(4, 7).join(""), lines.slice(7).join("")]);

  expect(prefixes(chunks.slice(1)).every((prefix) => prefix === "Place | Size | Water\n")).toBe(true);
  expect(chunks.at(-1)?.pageNumber).toBe(3);
});

test("a header that would take more than a quarter of the budget is not repeated", async () => {
  const wide = "one two three | four five | six";
  const chunks = await cut([wide, ...rows(6)].join("\n"));

  expect(new Set(prefixes(chunks))).toEqual(new Set([""]));
});

test("the heading path stands before the header where both are wanted and fit", async () => {
  const chunks = await cut(table, { ...twenty, tokens: 28, headingPrefix: true });

  expect(prefixes(chunks)).toEqual(["S\n", ...chunks.slice(1).map(() => "S\nPlace | Size | Water\n")]);
});

test("an overlap within a table counts beside the header", async () => {
  for (const chunk of await cut(table, { ...twenty, overlapTokens: 6 }))
    expect(byWords.count(chunk.embedPrefix + chunk.content)).toBeLessThanOrEqual(20);
});

test("a header row that two segments share is not repeated: only its end would be", async () => {
  const chunks = await cut(["Place of it all | Size of ", ["it | Water", ...rows(8)].join("\n")]);

  expect(new Set(prefixes(chunks))).toEqual(new Set([""]));
});

test("a chunk that begins at a row with a long first cell has the header too", async () => {
  const long = Array.from(
    { length: 8 },
    (_, at) => `the long name of town number ${at} on its river | ${at}`,
  );
  const chunks = await cut(["Place | Size", ...long].join("\n"));

  expect(prefixes(chunks.slice(1))).toEqual(chunks.slice(1).map(() => "Place | Size\n"));
});
