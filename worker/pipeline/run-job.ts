// The way of a document, in order; the only place that catches. Answers an Outcome and never throws.
import type { Activity } from "../activity/activity.ts";
import type { ChunkLimits, ChunkStrategy, CutChunks } from "../chunkers/chunker.ts";
import type { Original } from "../document/document.ts";
import type { Job } from "../document/lease.ts";
import type { Outcome } from "../document/outcome.ts";
import type { Segment } from "../document/segment.ts";
import type { SqlCall } from "../document/sql-call.ts";
import type { Embedder } from "../embedders/embedder.ts";
import type { ExtractSegments } from "../extractors/extractor.ts";
import { openPlaces, type Places } from "../extractors/places.ts";
import { Failure } from "../failure/failure.ts";
import { failureFromUnknown } from "../failure/from-unknown.ts";
import { watchForStall } from "../timing/stall-watch.ts";
import { beginGeneration, type Generation } from "./begin-generation.ts";
import { countPieces } from "./count-pieces.ts";
import type { EmbedBatch } from "./embed-batch.ts";
import { extractSegments } from "./extract-segments.ts";
import { type FetchOriginal, fetchOriginal } from "./fetch-original.ts";
import { outcomeOf, waitForProvider } from "./outcome-of.ts";
import { planOf } from "./plan.ts";
import { readSegments } from "./read-segments.ts";
import { type StepContext, waitInLine } from "./step-context.ts";
import { type StoreLimits, storeChunks } from "./store-chunks.ts";

export type PipelineParts = {
  readonly call: SqlCall;
  readonly activity: Activity;
  readonly fetch: FetchOriginal;
  readonly extract: ExtractSegments;
  readonly chunker: {
    readonly strategy: ChunkStrategy;
    readonly cut: CutChunks;
    readonly limits: ChunkLimits;
  };
  readonly embedder: Pick<Embedder, "model" | "dimensions" | "tokenizer">;
  readonly embed: EmbedBatch;
  readonly store: StoreLimits;
  /** What the provider does with a plain word: tells its own trouble from a text that it cannot take. */
  readonly probeProvider: () => Promise<"answers" | "away" | "refuses">;
  readonly stallMs: number;
};

// A hundred jobs that begin at once would all be half open before the first has text to embed. A few open
// together; whoever takes longer (a slow source, a reader that is busy) waits without keeping others out.
const OPENING_JOBS = 8;
const OPENING_MS = 250;
// Text ready for so many rounds of full requests keeps the provider busy. To read further ahead takes memory, and
// at the start the cores away from the first requests.
const ROUNDS_AHEAD = 8;

/** What the jobs of a process share. */
type Shared = {
  readonly opening: Places;
  /** One place for each chunk on its way to the database. */
  readonly room: Places;
};

export type RunJob = (job: Job, signal: AbortSignal) => Promise<Outcome>;

export function openPipeline(parts: PipelineParts): RunJob {
  const { batch, inFlight } = parts.store;
  const shared = { opening: openPlaces(OPENING_JOBS), room: openPlaces(batch * inFlight * ROUNDS_AHEAD) };
  return async (job, signal) => {
    const stalled = new AbortController();
    const watch = watchForStall(parts.stallMs, () => stalled.abort(new Failure("job.stalled")));
    const joined = AbortSignal.any([signal, stalled.signal]);
    try {
      if (job.kind !== "document") throw new Failure("job.kind-unsupported", { facts: { kind: job.kind } });
      if (job.document === null) throw new Failure("job.document-gone");
      const { call, activity } = parts;
      const step = { job, document: job.document, signal: joined, call, activity, touch: watch.touch };
      return await ingestDocument(parts, shared, step);
    } catch (thrown) {
      // Whoever aborted said why; what a step threw because of it says less.
      const failure = failureFromUnknown(joined.aborted ? joined.reason : thrown);
      return await judge(failure, parts);
    } finally {
      watch.stop();
    }
  };
}

/** A provider that is away, or takes nothing at all, is not the document's fault. */
async function judge(failure: Failure, parts: PipelineParts): Promise<Outcome> {
  if (failure.code !== "embed.unavailable" && failure.code !== "embed.input-rejected")
    return outcomeOf(failure);
  const provider = await parts.probeProvider();
  if (failure.code === "embed.unavailable" && provider === "away") return waitForProvider(failure);
  if (failure.code === "embed.input-rejected" && provider === "refuses")
    return outcomeOf(new Failure("embed.refused", { cause: failure }));
  return outcomeOf(failure);
}

async function ingestDocument(parts: PipelineParts, shared: Shared, step: StepContext): Promise<Outcome> {
  const enter = await waitInLine(step, shared.opening.take(1, step.signal));
  const tooLong = setTimeout(enter, OPENING_MS);
  try {
    const original = step.document.kind === "transcript" ? null : await fetchOriginal(parts.fetch, step);
    return await ingestOriginal(original, parts, { room: shared.room, opened: enter }, step).finally(() =>
      original?.dispose(),
    );
  } finally {
    clearTimeout(tooLong);
    enter();
  }
}

/** `opened` is called when the first text is there. */
async function ingestOriginal(
  original: Original | null,
  parts: PipelineParts,
  { room, opened }: { readonly room: Places; readonly opened: () => void },
  step: StepContext,
): Promise<Outcome> {
  const plan = planOf(parts.embedder, parts.chunker.strategy, parts.chunker.limits);
  const generation = await beginGeneration(original, plan, step);
  if (generation.unchanged) {
    return { kind: "complete", chunks: generation.staged, segments: generation.segments, unchanged: true };
  }
  const counter = new SegmentCounter(generation, step, opened);
  const embed = countPieces(parts.embed, step);
  const chunks = parts.chunker.cut(
    counter.count(segmentsOf(original, generation, parts, step)),
    embed.pieces,
  );
  const stored = await storeChunks(chunks, embed.chunks, { ...parts.store, room }, counter, step);
  // Text without a single chunk is white space or marks alone.
  if (stored.chunks === 0) throw new Failure("extract.empty");
  return { kind: "complete", chunks: stored.chunks, segments: counter.seen(), unchanged: false };
}

function segmentsOf(
  original: Original | null,
  generation: Generation,
  parts: PipelineParts,
  step: StepContext,
): AsyncIterable<Segment> {
  if (original === null || generation.segmentsComplete) return readSegments(generation, step);
  return extractSegments(original, parts.extract, step);
}

/** Knows how many segments there are as soon as anybody can. */
class SegmentCounter {
  #seen = 0;
  #total: number | null;
  readonly #step: StepContext;
  readonly #first: () => void;

  /** `first` is called for each segment; only the first call matters. */
  constructor(generation: Generation, step: StepContext, first: () => void) {
    this.#first = first;
    this.#total = generation.segmentsComplete ? generation.segments : null;
    this.#step = step;
    if (this.#total !== null) this.#say(this.#total);
  }

  readonly seen = (): number => this.#seen;
  readonly total = (): number | null => this.#total;

  async *count(segments: AsyncIterable<Segment>): AsyncIterable<Segment> {
    for await (const segment of segments) {
      this.#seen += 1;
      this.#first();
      yield segment;
    }
    if (this.#total === null) this.#say(this.#seen);
    this.#total = this.#seen;
  }

  #say(segments: number): void {
    const { job, document, activity } = this.#step;
    activity.say("job.measured", { jobId: job.id, documentId: document.id, segments });
  }
}
