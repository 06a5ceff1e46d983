// Pulls chunks from the chunker and keeps a bounded number of batches on their way to the database, so that
// memory does not grow with the document and the provider is never idle while there is text.
import type { Chunk } from "../document/chunk.ts";
import type { Places } from "../extractors/places.ts";
import { Failure } from "../failure/failure.ts";
import type { EmbedBatch } from "./embed-batch.ts";
import { embedChunks, type Stored } from "./embed-chunks.ts";
import type { RejectedChunk } from "./reject-chunks.ts";
import { type StepContext, waitInLine } from "./step-context.ts";

export type StoreLimits = {
  /** Chunks in one batch. */
  readonly batch: number;
  /** Batches of one job on their way at once. */
  readonly inFlight: number;
  /** Most chunks of one document. */
  readonly mostChunks: number;
};

/** How many segments the chunker has read, and how many there are once that is known. */
export type SegmentsRead = { readonly seen: () => number; readonly total: () => number | null };

export type StoredTotals = {
  readonly chunks: number;
  readonly reused: number;
  /** Chunks that the provider refused, and the first of them. */
  readonly rejected: number;
  readonly firstRejected: RejectedChunk | null;
};

/**
 * Answers when every chunk is stored. The first batch that fails ends the others, and the cutting, and is thrown.
 * `room`: a place for each chunk of any job that is on its way.
 */
export async function storeChunks(
  cut: (signal: AbortSignal) => AsyncIterable<Chunk>,
  embed: EmbedBatch,
  limits: StoreLimits & { readonly room: Places },
  segments: SegmentsRead,
  step: StepContext,
): Promise<StoredTotals> {
  const failed = new AbortController();
  const inner = { ...step, signal: AbortSignal.any([step.signal, failed.signal]) };
  const underway = new Set<Promise<void>>();
  const progress = new Progress(segments, step);
  let count = 0;

  const send = async (batch: readonly Chunk[]) => {
    const leave = await waitInLine(step, limits.room.take(batch.length, inner.signal));
    const ticket = progress.open(segments.seen());
    const task = embedChunks(batch, embed, { processedSegments: () => progress.segmentsDone() }, inner)
      .then((stored) => progress.close(ticket, batch.length, stored))
      .catch((thrown: unknown) => {
        if (!failed.signal.aborted) failed.abort(thrown);
      })
      .finally(() => {
        leave();
        underway.delete(task);
      });
    underway.add(task);
  };

  try {
    let batch: Chunk[] = [];
    for await (const chunk of cut(inner.signal)) {
      step.touch();
      inner.signal.throwIfAborted();
      count += 1;
      if (count > limits.mostChunks) {
        throw new Failure("chunk.over-limit", { facts: { limit: limits.mostChunks } });
      }
      batch.push(chunk);
      if (batch.length < limits.batch) continue;
      await send(batch);
      batch = [];
      if (underway.size >= limits.inFlight) await Promise.race(underway);
    }
    if (batch.length > 0) await send(batch);
  } catch (thrown) {
    if (!failed.signal.aborted) failed.abort(thrown);
  }
  await Promise.all(underway);
  inner.signal.throwIfAborted();
  return { chunks: count, ...progress.totals() };
}

/** Counts what is done. A segment is done when every batch up to the one it went into is. */
class Progress {
  #reused = 0;
  #rejected = 0;
  #firstRejected: RejectedChunk | null = null;
  readonly #segments: SegmentsRead;
  readonly #step: StepContext;
  readonly #open: { readonly seen: number; done: boolean }[] = [];
  #segmentsDone = 0;
  #chunksDone = 0;

  constructor(segments: SegmentsRead, step: StepContext) {
    this.#segments = segments;
    this.#step = step;
  }

  segmentsDone(): number {
    return this.#segmentsDone;
  }

  open(seen: number) {
    const ticket = { seen, done: false };
    this.#open.push(ticket);
    return ticket;
  }

  totals(): Omit<StoredTotals, "chunks"> {
    return { reused: this.#reused, rejected: this.#rejected, firstRejected: this.#firstRejected };
  }

  close(ticket: { done: boolean }, chunks: number, stored: Stored): void {
    ticket.done = true;
    this.#chunksDone += chunks;
    this.#reused += stored.reused;
    this.#rejected += stored.rejected.length;
    for (const one of stored.rejected)
      if (one.chunk.chunkIndex < (this.#firstRejected?.chunk.chunkIndex ?? Number.POSITIVE_INFINITY))
        this.#firstRejected = one;
    for (let first = this.#open[0]; first?.done; first = this.#open[0]) {
      this.#segmentsDone = first.seen;
      this.#open.shift();
    }
    this.#step.activity.say("job.progressed", {
      jobId: this.#step.job.id,
      documentId: this.#step.document.id,
      stage: "embedding",
      processedSegments: this.#segmentsDone,
      totalSegments: this.#segments.total(),
      processedChunks: this.#chunksDone,
      totalChunks: null,
      reusedChunks: this.#reused,
      stored: stored.stored,
    });
  }
}
