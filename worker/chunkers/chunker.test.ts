import fc from "fast-check";
import { expect, test } from "vitest";
import type { Chunk } from "../document/chunk.ts";
import type { Segment } from "../document/segment.ts";
import type { Tokenizer } from "../document/tokenizer.ts";
import { openTokenizer } from "../tokenizers/open-tokenizer.ts";
import { type ChunkLimits, type EmbedSnippets, UNITS_PER_TOKEN } from "./chunker.ts";
import { openChunker } from "./open-chunker.ts";
import { limits, segments, strategies } from "./testing/unkind-documents.ts";

// The promises of every strategy.

const wordpiece = openTokenizer("bert-wordpiece");
const clusters = new Intl.Segmenter("und", { granularity: "grapheme" });

/** Texts that share words are alike: enough to have clusters of several sizes. */
const meanings: EmbedSnippets = async (texts) =>
  texts.map((text) => {
    const vector = new Float32Array(16);
    for (const word of text.match(/\S+/g) ?? []) {
      const at = (word.length * 7 + word.charCodeAt(0)) % 16;
      vector[at] = (vector[at] ?? 0) + 1;
    }
    return vector;
  });

async function* streamOf(all: readonly Segment[]): AsyncGenerator<Segment> {
  yield* all;
}

async function cut(
  strategy: string,
  all: readonly Segment[],
  limit: ChunkLimits,
  tokenizer: Tokenizer = wordpiece,
) {
  const chunks: Chunk[] = [];
  for await (const chunk of openChunker(strategy, limit, tokenizer).cut(streamOf(all), meanings))
    chunks.push(chunk);
  return chunks;
}

const sourceOf = (all: readonly Segment[]) => all.map((segment) => segment.content).join("");
const runs = { numRuns: 300 };

/** Segments with their offsets. */
function placed(all: readonly Segment[]) {
  let at = 0;
  return all.map((segment) => {
    const start = at;
    at += segment.content.length;
    return { segment, start, end: at };
  });
}
const segmentAt = (all: readonly Segment[], offset: number) =>
  placed(all).find(({ start, end }) => offset >= start && offset < end)?.segment;

const over = (
  promise: (strategy: string, all: readonly Segment[], limit: ChunkLimits, chunks: readonly Chunk[]) => void,
) =>
  fc.asyncProperty(strategies, segments, limits, async (strategy, all, limit) => {
    promise(strategy, all, limit, await cut(strategy, all, limit));
  });

test("content is the source between its offsets, without white space around it, and indices have no gaps", () =>
  fc.assert(
    over((_, all, __, chunks) => {
      const source = sourceOf(all);
      for (const [index, chunk] of chunks.entries()) {
        expect(chunk.chunkIndex).toBe(index);
        expect(chunk.content).toBe(source.slice(chunk.charStart, chunk.charEnd));
        expect(chunk.content).toBe(chunk.content.trim());
        expect(chunk.content).not.toBe("");
        expect(chunk.content.isWellFormed()).toBe(true);
      }
    }),
    runs,
  ));

test("every unit that is not white space lies in a chunk, and each chunk adds some", () =>
  fc.assert(
    over((_, all, __, chunks) => {
      const source = sourceOf(all);
      let covered = 0;
      for (const chunk of chunks) {
        if (chunk.charStart > covered) expect(source.slice(covered, chunk.charStart).trim()).toBe("");
        expect(chunk.charEnd).toBeGreaterThan(covered);
        covered = chunk.charEnd;
      }
      expect(source.slice(covered).trim()).toBe("");
    }),
    runs,
  ));

test("no chunk is above either budget, by the real tokenizer, unless it is one code point", () =>
  fc.assert(
    over((_, __, limit, chunks) => {
      for (const chunk of chunks) {
        const read = chunk.embedPrefix + chunk.content;
        expect(chunk.tokenCount).toBe(wordpiece.count(read));
        if ([...chunk.content].length === 1 && chunk.embedPrefix === "") continue;
        expect(chunk.tokenCount).toBeLessThanOrEqual(limit.tokens);
        expect(read.length).toBeLessThanOrEqual(limit.chars || limit.tokens * UNITS_PER_TOKEN);
      }
    }),
    runs,
  ));

test("an overlap is within its budget, begins after the chunk before it and ends where that ends", () =>
  fc.assert(
    over((_, all, limit, chunks) => {
      for (const [index, chunk] of chunks.entries()) {
        const before = chunks[index - 1];
        if (before === undefined || chunk.charStart >= before.charEnd) continue;
        const shared = sourceOf(all).slice(chunk.charStart, before.charEnd);
        expect(wordpiece.count(shared)).toBeLessThanOrEqual(limit.overlapTokens);
        expect(chunk.charStart).toBeGreaterThan(before.charStart);
        expect([chunk.section, chunk.speaker]).toEqual([before.section, before.speaker]);
      }
    }),
    runs,
  ));

test("a chunk keeps to one section, with the bare headings above it, and to one speaker, and to segments that are glued by white space", () =>
  fc.assert(
    over((_, all, __, chunks) => {
      for (const chunk of chunks) {
        const touched = placed(all).filter(
          ({ segment, start, end }) =>
            start < chunk.charEnd &&
            end > chunk.charStart &&
            segment.content.slice(Math.max(0, chunk.charStart - start), chunk.charEnd - start).trim() !== "",
        );
        for (const { segment } of touched) {
          const above = chunk.section?.startsWith(`${segment.section} > `) ?? false;
          expect(above || segment.section === chunk.section).toBe(true);
        }
        expect(new Set(touched.map(({ segment }) => segment.speaker))).toEqual(new Set([chunk.speaker]));
        for (const { segment } of touched.slice(0, -1)) expect(segment.content).toMatch(/\s$/);
        expect(chunk.segmentFrom).toBe(touched[0]?.segment.seq);
        expect(chunk.segmentTo).toBe(touched.at(-1)?.segment.seq);
        expect(chunk.pageNumber).toBe(segmentAt(all, chunk.charStart)?.pageNumber);
      }
    }),
    runs,
  ));

test("no cut lies inside a grapheme cluster that would fit the budget", () =>
  fc.assert(
    over((_, all, limit, chunks) => {
      const source = sourceOf(all);
      const most = limit.chars || limit.tokens * UNITS_PER_TOKEN;
      for (const chunk of chunks) {
        // Clusters are looked at within their segment: a segment's end may be a forced break.
        const home = placed(all).find(({ start, end }) => chunk.charEnd > start && chunk.charEnd <= end);
        if (home === undefined || chunk.charEnd === home.end || /\s/.test(source.charAt(chunk.charEnd)))
          continue;
        const cluster = clusters.segment(home.segment.content).containing(chunk.charEnd - home.start);
        const inside = cluster !== undefined && cluster.index < chunk.charEnd - home.start;
        if (!inside || /\s/.test(cluster.segment)) continue;
        const room = {
          tokens: limit.tokens - wordpiece.count(chunk.embedPrefix),
          chars: most - chunk.embedPrefix.length,
        };
        expect(
          wordpiece.count(cluster.segment) > room.tokens || cluster.segment.length > room.chars,
          JSON.stringify([chunk, cluster.segment, limit]),
        ).toBe(true);
      }
    }),
    runs,
  ));

test("a word that fits by itself is not halved, however many tokens the pretoken counts that it is part of", async () => {
  // To BERT a form feed is nothing: the last two words are one.
  const all = [utterance("The क्ष\fMr. ", 0, null)];

  const chunks = await cut("semantic", all, { tokens: 2, overlapTokens: 0, chars: 0 });

  expect(chunks.map((chunk) => chunk.content)).toContain("क्ष");
});

test("the same segments give the same chunks, however they arrive", () =>
  fc.assert(
    fc.asyncProperty(
      strategies,
      segments,
      limits,
      fc.infiniteStream(fc.boolean()),
      async (strategy, all, limit, waits) => {
        async function* slowly(): AsyncGenerator<Segment> {
          for (const one of all) {
            if (waits.next().value) await new Promise((resolve) => setImmediate(resolve));
            yield one;
          }
        }
        const chunks: Chunk[] = [];
        for await (const chunk of openChunker(strategy, limit, wordpiece).cut(slowly(), meanings))
          chunks.push(chunk);

        expect(chunks).toEqual(await cut(strategy, all, limit));
      },
    ),
    { numRuns: 100 },
  ));

test("the budgets hold for the tokens of OpenAI too", () => {
  const cl100k = openTokenizer("cl100k_base");
  return fc.assert(
    fc.asyncProperty(strategies, segments, limits, async (strategy, all, limit) => {
      for (const chunk of await cut(strategy, all, limit, cl100k)) {
        const read = chunk.embedPrefix + chunk.content;
        expect(chunk.tokenCount).toBe(cl100k.count(read));
        if ([...read].length > 1) expect(chunk.tokenCount).toBeLessThanOrEqual(limit.tokens);
      }
    }),
    { numRuns: 150 },
  );
});

/** Counts as BERT does, and how many units it looked at. */
function openWatched() {
  const seen = { units: 0 };
  const tokenizer: Tokenizer = {
    name: "watched",
    count: (text) => wordpiece.count(text),
    scan(text, from, take) {
      seen.units += text.length - from;
      wordpiece.scan?.(text, from, take);
    },
  };
  return { seen, tokenizer };
}

const utterance = (content: string, at: number, speaker: string | null): Segment => ({
  seq: at + 1,
  content,
  pageNumber: null,
  section: null,
  speaker,
  startedMs: null,
  endedMs: null,
});

// To BERT a form feed is nothing: all of it is one word.
test.each([
  "growing\f",
  "\f",
])("a word that grows by %j with every segment is not counted anew each time", async (part) => {
  const { seen, tokenizer } = openWatched();
  const grown = Array.from({ length: 5000 }, (_, at) => utterance(at === 0 ? `word${part}` : part, at, null));

  const chunks = await cut("recursive", grown, { tokens: 64, overlapTokens: 0, chars: 0 }, tokenizer);

  expect(chunks.at(-1)?.charEnd).toBe(sourceOf(grown).trimEnd().length);
  expect(seen.units).toBeLessThan(200 * sourceOf(grown).length);
});

test("a document of many short passages is looked at once: what was cut is let go", async () => {
  const { seen, tokenizer } = openWatched();
  const utterances = Array.from({ length: 2000 }, (_, at) =>
    utterance(`Utterance ${at} of somebody who says a little.\n`, at, at % 2 === 0 ? "Ann" : "Bob"),
  );

  const chunks = await cut("recursive", utterances, { tokens: 64, overlapTokens: 0, chars: 0 }, tokenizer);

  expect(chunks).toHaveLength(2000);
  expect(seen.units).toBeLessThan(5 * sourceOf(utterances).length);
});
