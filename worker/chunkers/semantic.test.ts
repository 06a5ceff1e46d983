import fc from "fast-check";
import { expect, test } from "vitest";
import type { Chunk } from "../document/chunk.ts";
import type { Segment } from "../document/segment.ts";
import type { Tokenizer } from "../document/tokenizer.ts";
import type { EmbedSnippets } from "./chunker.ts";
import { clusterEnds } from "./cluster.ts";
import { openChunker } from "./open-chunker.ts";

/** One token a word: budgets in these tests can be counted by eye. */
const byWords: Tokenizer = { name: "words", count: (text) => text.match(/\S+/g)?.length ?? 0 };
const limits = { tokens: 48, overlapTokens: 0, chars: 0 };

/** Sentences about the sea point one way, those about money another. */
const topics: EmbedSnippets = async (texts) =>
  texts.map((text) => {
    const count = (words: RegExp) => text.match(words)?.length ?? 0;
    return Float32Array.from([count(/wave|tide|salt/g), count(/bank|debt|coin/g), 0.1]);
  });
const sea = (at: number) => `Wave ${at} met the tide and left its salt on stones.`;
const money = (at: number) => `Coin ${at} paid the debt that the bank had kept.`;

async function* one(content: string): AsyncGenerator<Segment> {
  yield {
    seq: 1,
    content,
    pageNumber: null,
    section: null,
    speaker: null,
    startedMs: null,
    endedMs: null,
  };
}

async function cut(segments: AsyncIterable<Segment>, embed = topics, budget = limits) {
  const chunks: Chunk[] = [];
  for await (const chunk of openChunker("semantic", budget, byWords).cut(segments, embed)) chunks.push(chunk);
  return chunks;
}

test("a chunk ends where the subject changes, though more would fit", async () => {
  const text = [sea(1), sea(2), money(3), money(4), money(5), sea(6), sea(7), sea(8)].join(" ");

  const chunks = await cut(one(text));

  expect(chunks.map((chunk) => chunk.content)).toEqual([
    [sea(1), sea(2)].join(" "),
    [money(3), money(4), money(5)].join(" "),
    [sea(6), sea(7), sea(8)].join(" "),
  ]);
});

test("a subject that is longer than the budget is cut into several chunks", async () => {
  const text = Array.from({ length: 30 }, (_, at) => sea(at)).join(" ");

  const chunks = await cut(one(text));

  for (const chunk of chunks) expect(chunk.tokenCount).toBeLessThanOrEqual(48);
  expect(chunks.map((chunk) => chunk.content).join(" ")).toBe(text);
});

test("with an overlap a subject still fits the chunk that begins with it", async () => {
  const text = Array.from({ length: 12 }, (_, at) => (Math.floor(at / 3) % 2 ? sea(at) : money(at))).join(
    " ",
  );

  const chunks = await cut(one(text), topics, { ...limits, overlapTokens: 12 });

  const fresh = chunks.map(
    (chunk, at) => chunk.charEnd - Math.max(chunk.charStart, chunks[at - 1]?.charEnd ?? 0),
  );
  expect(Math.min(...fresh)).toBeGreaterThan(sea(1).length);
});

test("a long text is planned by the window: chunks leave before it is read to its end, and nothing is lost", async () => {
  const sentences = Array.from({ length: 6000 }, (_, at) => (Math.floor(at / 3) % 2 ? sea(at) : money(at)));
  let read = 0;
  async function* segments() {
    for (const [at, sentence] of sentences.entries()) {
      read = at + 1;
      yield { seq: at + 1, content: `${sentence}\n`, ...nowhere };
    }
  }
  const chunks: string[] = [];
  let readAtFirst = 0;
  for await (const chunk of openChunker("semantic", limits, byWords).cut(segments(), topics)) {
    if (chunks.length === 0) readAtFirst = read;
    chunks.push(chunk.content);
  }

  expect(readAtFirst).toBeLessThan(1200);
  expect(chunks.join("\n")).toBe(sentences.join("\n"));
  const mixed = chunks.filter((chunk) => /tide/.test(chunk) && /debt/.test(chunk));
  expect(mixed).toEqual([]);
});

test("whoever stops early stops the reading too", async () => {
  let ended = false;
  async function* endless() {
    try {
      for (let at = 0; ; at++) yield { seq: at + 1, content: `${sea(at)}\n`, ...nowhere };
    } finally {
      ended = true;
    }
  }
  for await (const chunk of openChunker("semantic", limits, byWords).cut(endless(), topics)) {
    expect(chunk.chunkIndex).toBe(0);
    break;
  }
  expect(ended).toBe(true);
});

test("an embedder that fails ends the cutting with its failure", async () => {
  const fails: EmbedSnippets = async () => {
    throw new Error("no vectors today");
  };
  await expect(cut(one(sea(1)), fails)).rejects.toThrow("no vectors today");
});

test("clusters are those with the greatest reward of all that are allowed", () =>
  fc.assert(
    fc.property(
      fc.array(fc.record({ tokens: fc.integer({ min: 1, max: 4 }), x: fc.integer({ min: -5, max: 5 }) }), {
        minLength: 1,
        maxLength: 9,
      }),
      fc.integer({ min: 3, max: 12 }),
      fc.nat(8),
      (drafts, most, border) => {
        const snippets = drafts.map(({ tokens, x }, at) => ({
          tokens,
          vector: Float32Array.from([x, 3]),
          group: at < border ? "before" : "behind",
        }));

        const found = clusterEnds(snippets, most);

        expect(found.at(-1)).toBe(snippets.length - 1);
        expect(isAllowed(found, snippets, most)).toBe(true);
        expect(rewardOf(found, snippets, most)).toBeCloseTo(bestByTrying(snippets, most), 4);
      },
    ),
  ));

const nowhere = { pageNumber: null, section: null, speaker: null, startedMs: null, endedMs: null };

type Snippets = Parameters<typeof clusterEnds>[0];

const clustersOf = (ends: readonly number[]) =>
  ends.map((end, at) => [(ends[at - 1] ?? -1) + 1, end] as const);

function mayShare(snippets: Snippets, first: number, last: number, most: number): boolean {
  const cluster = snippets.slice(first, last + 1);
  if (cluster.length === 1) return true;
  const sum = cluster.reduce((total, snippet) => total + snippet.tokens, 0);
  return sum <= most && new Set(cluster.map((snippet) => snippet.group)).size === 1;
}

const isAllowed = (ends: readonly number[], snippets: Snippets, most: number) =>
  clustersOf(ends).every(([first, last]) => mayShare(snippets, first, last, most));

function cosine(one: Float32Array, other: Float32Array): number {
  const dot = (a: Float32Array, b: Float32Array) =>
    a.reduce((sum, value, at) => sum + value * (b[at] ?? 0), 0);
  return dot(one, other) / Math.sqrt(dot(one, one) * dot(other, other));
}

function pairs(snippets: Snippets, first: number, last: number): number[] {
  const found: number[] = [];
  for (let one = first; one <= last; one++)
    for (let other = one + 1; other <= last; other++)
      found.push(
        cosine(snippets[one]?.vector ?? new Float32Array(), snippets[other]?.vector ?? new Float32Array()),
      );
  return found;
}

/** The mean of all pairs that may share a cluster. */
function usualOf(snippets: Snippets, most: number): number {
  const similar: number[] = [];
  for (let one = 0; one < snippets.length; one++)
    for (let other = one + 1; other < snippets.length; other++)
      if (mayShare(snippets, one, other, most))
        similar.push(
          cosine(snippets[one]?.vector ?? new Float32Array(), snippets[other]?.vector ?? new Float32Array()),
        );
  return similar.length === 0 ? 0 : similar.reduce((sum, value) => sum + value, 0) / similar.length;
}

function rewardOf(ends: readonly number[], snippets: Snippets, most: number): number {
  const usual = usualOf(snippets, most);
  return clustersOf(ends).reduce(
    (total, [first, last]) =>
      total + pairs(snippets, first, last).reduce((sum, value) => sum + value - usual, 0),
    0,
  );
}

function bestByTrying(snippets: Snippets, most: number): number {
  let best = Number.NEGATIVE_INFINITY;
  for (let bits = 0; bits < 2 ** (snippets.length - 1); bits++) {
    const ends = snippets.map((_, at) => at).filter((at) => at === snippets.length - 1 || (bits >> at) & 1);
    if (isAllowed(ends, snippets, most)) best = Math.max(best, rewardOf(ends, snippets, most));
  }
  return best;
}
