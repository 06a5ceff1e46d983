// Chunks by meaning: snippets of about fifty tokens are embedded, and neighbours that are alike share a chunk.
// Every snippet is sent to the provider, and then every chunk: about twice the price of the other strategies.
// The plan only says where to cut. Cutting itself, with its budgets and exact offsets, is everybody's.
import type { Chunk } from "../document/chunk.ts";
import type { Segment } from "../document/segment.ts";
import type { Tokenizer } from "../document/tokenizer.ts";
import type { ChunkLimits, ChunkStrategy, CutWith, EmbedSnippets } from "./chunker.ts";
import { clusterEnds, type Snippet } from "./cluster.ts";
import { cutChunks, type Reach } from "./cut-chunks.ts";
import { chooseBestBoundary, cutRecursively } from "./recursive.ts";

export const semantic: ChunkStrategy = { name: "semantic", version: 1 };

/** The study's; less says too little to be compared. */
const SNIPPET_TOKENS = 50;
/** A part of the budget at most, so that a small one still has something to choose from. */
const SNIPPET_SHARE = 0.25;
/** Snippets that are compared at once: 50,000 tokens, 8 MB of vectors. */
const WINDOW = 1000;

export const cutSemantically: CutWith = (limits, tokenizer) =>
  async function* (segments, embed) {
    const plan = new Plan(segments, embed, limits, tokenizer);
    const cut = cutChunks((reach) => plan.chooseEnd(reach), limits, tokenizer);
    yield* cut(plan.plannedSegments(), embed);
  };

type Planned = Snippet & { readonly end: number };

/** Reads ahead, decides where to cut, and lets those segments through whose cuts are known. */
class Plan {
  readonly #embed: EmbedSnippets;
  readonly #mostTokens: number;
  /** Where units are limited too, a snippet counts as the share that it takes of either limit. */
  readonly #tokensPerUnit: number;
  readonly #snippets: AsyncIterator<Chunk>;
  /** Read, and not yet let through. */
  #held: Segment[] = [];
  #next = 0;
  /** Offset behind the segments that were let through. */
  #passed = 0;
  /** Snippets behind the last cut that is settled. */
  #open: Planned[] = [];
  /** Offsets at which chunks end, in order. */
  #cuts: number[] = [];
  #isComplete = false;

  constructor(
    segments: AsyncIterable<Segment>,
    embed: EmbedSnippets,
    limits: ChunkLimits,
    tokenizer: Tokenizer,
  ) {
    this.#embed = embed;
    // The overlap takes its share of a chunk.
    this.#mostTokens = limits.tokens - Math.min(limits.overlapTokens, limits.tokens / 2);
    this.#tokensPerUnit = limits.chars > 0 ? limits.tokens / limits.chars : 0;
    const tokens = Math.max(1, Math.min(SNIPPET_TOKENS, Math.floor(limits.tokens * SNIPPET_SHARE)));
    const chars = limits.chars > 0 ? Math.max(1, Math.floor(limits.chars * SNIPPET_SHARE)) : 0;
    const cut = cutRecursively({ tokens, overlapTokens: 0, chars }, tokenizer);
    this.#snippets = cut(this.#readAndHold(segments), embed)[Symbol.asyncIterator]();
  }

  async *plannedSegments(): AsyncGenerator<Segment> {
    try {
      for (;;) {
        const next = this.#held[this.#next];
        const end = this.#passed + (next?.content.length ?? 0);
        if (next !== undefined && (this.#isComplete || end <= (this.#cuts.at(-1) ?? 0))) {
          this.#next += 1;
          this.#passed = end;
          // Taking each from the front would move all the others.
          if (this.#next * 2 > this.#held.length) {
            this.#held = this.#held.slice(this.#next);
            this.#next = 0;
          }
          yield next;
        } else if (this.#isComplete) return;
        else await this.#planOn();
      }
    } finally {
      // Whoever stops early stops the reading too.
      await this.#snippets.return?.();
    }
  }

  /** The planned end, or a good one before it where the joined text does not fit. */
  chooseEnd(reach: Reach): number {
    const { passage, ceiling } = reach;
    const from = passage.words[passage.fresh]?.start ?? 0;
    while ((this.#cuts[0] ?? Number.POSITIVE_INFINITY) <= from) this.#cuts.shift();
    const cut = this.#cuts[0] ?? Number.POSITIVE_INFINITY;
    let last = passage.fresh - 1;
    while (last < ceiling && (passage.words[last + 1]?.end ?? cut) <= cut) last++;
    const isAtCut = last < ceiling || ceiling === passage.words.length - 1;
    const fits = last >= passage.fresh && passage.share(last) <= 1;
    return isAtCut && fits ? last : chooseBestBoundary(reach);
  }

  async *#readAndHold(segments: AsyncIterable<Segment>): AsyncGenerator<Segment> {
    for await (const segment of segments) {
      this.#held.push(segment);
      yield segment;
    }
  }

  /** Settles the cuts of one more window of snippets. */
  async #planOn(): Promise<void> {
    const fresh: Chunk[] = [];
    while (!this.#isComplete && this.#open.length + fresh.length < WINDOW) {
      const { value, done } = await this.#snippets.next();
      if (done) this.#isComplete = true;
      else fresh.push(value);
    }
    if (fresh.length > 0) {
      const vectors = await this.#embed(fresh.map((snippet) => snippet.content));
      for (const [at, snippet] of fresh.entries())
        this.#open.push({
          tokens: Math.max(snippet.tokenCount, snippet.content.length * this.#tokensPerUnit),
          vector: vectors[at] ?? new Float32Array(),
          group: JSON.stringify([snippet.section, snippet.speaker]),
          end: snippet.charEnd,
        });
    }
    const ends = clusterEnds(this.#open, this.#mostTokens);
    // What is still to come may move the cuts near the end of a window: the second half is looked at again.
    const settled = this.#isComplete ? ends : ends.filter((end) => end < WINDOW / 2);
    const sure = settled.length > 0 ? settled : ends.slice(0, 1);
    this.#cuts.push(...sure.map((end) => this.#open[end]?.end ?? 0));
    this.#open = this.#open.slice((sure.at(-1) ?? -1) + 1);
  }
}
