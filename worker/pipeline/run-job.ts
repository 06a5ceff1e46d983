// The way of a document, in order; the only place that catches. Answers an Outcome and never throws.
import type { Activity } from "../activity/activity.ts";
import type { ChunkHead } from "../analysts/prompt.ts";
import type { ChunkLimits, ChunkStrategy, CutChunks } from "../chunkers/chunker.ts";
import type { Chunk } from "../document/chunk.ts";
import type { Original } from "../document/document.ts";
import type { Job, JobKind } from "../document/lease.ts";
import type { Outcome } from "../document/outcome.ts";
import type { RunKind } from "../document/run-kind.ts";
import type { Segment } from "../document/segment.ts";
import type { SqlCall } from "../document/sql-call.ts";
import type { StageChunks } from "../document/stage-chunks.ts";
import type { Embedder } from "../embedders/embedder.ts";
import type { ExtractSegments } from "../extractors/extractor.ts";
import { openPlaces, type Places } from "../extractors/places.ts";
import { Failure } from "../failure/failure.ts";
import { failureFromUnknown } from "../failure/from-unknown.ts";
import { watchForStall } from "../timing/stall-watch.ts";
import { type Analysing, analyseSegments } from "./analyse-segments.ts";
import type { BatchTexts } from "./batch-texts.ts";
import { beginGeneration, type Generation } from "./begin-generation.ts";
import { headsOf, withContexts } from "./contextual-chunks.ts";
import { countSnippets } from "./count-snippets.ts";
import type { EmbedFor } from "./embed-batch.ts";
import { extractSegments } from "./extract-segments.ts";
import { type FetchOriginal, fetchOriginal } from "./fetch-original.ts";
import { outcomeOf, waitForProvider } from "./outcome-of.ts";
import { planOf } from "./plan.ts";
import { readSeams } from "./read-seams.ts";
import { readSegments } from "./read-segments.ts";
import { failureOfRejected } from "./reject-chunks.ts";
import { hearOf, type StepContext, waitInLine } from "./step-context.ts";
import { type StoreLimits, storeChunks } from "./store-chunks.ts";
import { type TimedItems, tellItems, tellStep } from "./tell-step.ts";

export type PipelineParts = {
  readonly call: SqlCall;
  readonly stage: StageChunks;
  readonly activity: Activity;
  readonly fetch: FetchOriginal;
  readonly extract: ExtractSegments;
  readonly chunker: {
    readonly strategy: ChunkStrategy;
    readonly cut: CutChunks;
    readonly limits: ChunkLimits;
  };
  readonly embedder: Pick<Embedder, "model" | "dimensions" | "quantisation" | "tokenizer">;
  readonly embed: EmbedFor;
  /** Where texts go to the provider in batches; null: at once. */
  readonly batches: BatchTexts | null;
  /** Who says what documents are about; null: nobody. */
  readonly analysis: Analysing | null;
  readonly store: StoreLimits;
  /** What becomes of a document with chunks that the provider refuses: it fails, or goes live without them. */
  readonly onBadChunk: "fail" | "skip";
  readonly stallMs: number;
  /** What goes live is queued to be related. */
  readonly relates: boolean;
  /** Kinds of jobs that are other rooms' duty. */
  readonly others: Readonly<Partial<Record<JobKind, RunKind>>>;
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
      const runOther = parts.others[job.kind];
      if (runOther !== undefined) return await runOther(job, { signal: joined, touch: watch.touch });
      if (job.kind !== "document" && job.kind !== "reembed")
        throw new Failure("job.kind-unsupported", { facts: { kind: job.kind } });
      if (job.document === null) throw new Failure("job.document-gone");
      const { call, stage, activity } = parts;
      const step = { job, document: job.document, signal: joined, call, stage, activity, touch: watch.touch };
      const outcome = await ingestDocument(parts, shared, step);
      return parts.relates && outcome.kind === "complete" ? { ...outcome, relate: true } : outcome;
    } catch (thrown) {
      // Whoever aborted said why; what a step threw because of it says less.
      const failure = failureFromUnknown(joined.aborted ? joined.reason : thrown);
      return judge(failure);
    } finally {
      watch.stop();
    }
  };
}

const AWAY: ReadonlySet<string> = new Set(["embed.unavailable", "embed.bad-answer", "analyse.unavailable"]);

/** A provider that fails for a plain word as well (the batcher has tried one) is not the document's fault. */
function judge(failure: Failure): Outcome {
  return AWAY.has(failure.code) ? waitForProvider(failure) : outcomeOf(failure);
}

async function ingestDocument(parts: PipelineParts, shared: Shared, step: StepContext): Promise<Outcome> {
  const enter = await waitInLine(step, shared.opening.take(1, step.signal));
  const tooLong = setTimeout(enter, OPENING_MS);
  try {
    const original = isInDatabase(step)
      ? null
      : await tellStep("fetch", step, () => fetchOriginal(parts.fetch, step), bytesOf);
    return await ingestOriginal(original, parts, { room: shared.room, opened: enter }, step).finally(() =>
      original?.dispose(),
    );
  } finally {
    clearTimeout(tooLong);
    enter();
  }
}

const bytesOf = ({ byteSize }: Original) => ({ bytes: byteSize });

/** A transcript's segments are what was written; what is embedded again was read when it went live. */
const isInDatabase = ({ job, document }: StepContext): boolean =>
  document.kind === "transcript" || job.kind === "reembed";

/** `opened` is called when the first text is there. */
async function ingestOriginal(
  original: Original | null,
  parts: PipelineParts,
  { room, opened }: { readonly room: Places; readonly opened: () => void },
  step: StepContext,
): Promise<Outcome> {
  const { limits, strategy } = parts.chunker;
  const contextRoom = parts.analysis === null ? undefined : limits.context;
  const contexts = contextRoom === undefined ? null : (parts.analysis?.analyst.plan ?? null);
  const plan = planOf(parts.embedder, strategy, limits, contexts);
  const generation = await tellStep("begin", step, () => beginGeneration(original, plan, step));
  if (generation.unchanged) {
    // Analysed since, or by another model: lines for its chunks would have made it another generation.
    if (contextRoom === undefined && generation.number > 0) await analyse(generation, [], parts, step);
    const { staged, segments } = generation;
    return { kind: "complete", chunks: staged, segments, rejected: 0, unchanged: true };
  }
  const counter = new SegmentCounter(generation, step, opened);
  const embed = countSnippets(
    (texts, signal) => parts.embed(step.job.tenantId, texts, signal, hearOf(step)),
    step,
  );
  const seams = await readSeams(generation, step);
  const cutOf =
    (open: (of: StepContext) => TimedItems<Segment>, count = (items: AsyncIterable<Segment>) => items) =>
    (signal: AbortSignal): AsyncIterable<Chunk> => {
      const segments = open({ ...step, signal });
      const chunks = parts.chunker.cut(count(segments.items), embed.snippets(signal), seams);
      return tellItems("chunk", step, chunks, segments).items;
    };
  const again = cutOf((of) => tellItems("read", of, readSegments(generation, of)));
  let cut = cutOf(
    (of) => segmentsOf(original, generation, parts, of),
    (items) => counter.count(items),
  );
  let embedChunks = embed.chunks;
  if (contextRoom !== undefined) {
    const lines = await analyse(generation, await headsOf(cut(step.signal)), parts, step);
    cut = (signal) => withContexts(again(signal), lines, contextRoom, parts.embedder.tokenizer);
  }
  if (parts.batches !== null) {
    await parts.batches.want(cut(step.signal), step);
    // All is answered: cut once more, from what the first reading left in the database.
    if (contextRoom === undefined) cut = again;
    embedChunks = parts.batches.take(step);
  }
  const stored = await storeChunks(cut, embedChunks, { ...parts.store, room }, counter, step);
  // Text without a single chunk is white space or marks alone.
  if (stored.chunks === 0) throw new Failure("extract.empty");
  const { rejected, firstRejected } = stored;
  // Everything else is stored by now, for the next try or for readers. A document without a single vector is no use.
  if (firstRejected !== null && (parts.onBadChunk === "fail" || rejected === stored.chunks))
    throw failureOfRejected(firstRejected, rejected);
  if (contextRoom === undefined) await analyse(generation, [], parts, step);
  return { kind: "complete", chunks: stored.chunks, segments: counter.seen(), rejected, unchanged: false };
}

/** Answers the line of each chunk that was asked about. */
async function analyse(
  generation: Generation,
  heads: readonly ChunkHead[],
  { analysis }: PipelineParts,
  step: StepContext,
): Promise<readonly string[]> {
  if (analysis === null) return [];
  return await tellStep("analyse", step, () => analyseSegments(generation, heads, analysis, step));
}

function segmentsOf(
  original: Original | null,
  generation: Generation,
  parts: PipelineParts,
  step: StepContext,
): TimedItems<Segment> {
  if (original === null || generation.segmentsComplete)
    return tellItems("read", step, readSegments(generation, step));
  return tellItems("extract", step, extractSegments(original, parts.extract, step));
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
