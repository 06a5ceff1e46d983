// Original to segments, streamed: each batch is stored on its way, so that a later run need not parse again.
import type { Original } from "../document/document.ts";
import type { Segment } from "../document/segment.ts";
import type { ExtractSegments } from "../extractors/extractor.ts";
import { Failure } from "../failure/failure.ts";
import { fenceOf, leaseLost, type StepContext } from "./step-context.ts";

// About 256 KB of text a call, far below what an API gateway takes; a round trip each 50 segments at most.
const BATCH_CHARS = 200_000;
const BATCH_SEGMENTS = 50;

export async function* extractSegments(
  original: Original,
  extract: ExtractSegments,
  step: StepContext,
): AsyncIterable<Segment> {
  const startedAt = performance.now();
  let batch: Segment[] = [];
  let chars = 0;
  let segments = 0;
  let mediaType: string | null = null;
  for await (const message of aliveUntilRead(extract(original, step.signal), step)) {
    step.touch();
    if (message.kind === "extraction") mediaType = message.extraction.mediaType;
    if (message.kind !== "segment") continue;
    batch.push(message.segment);
    segments += 1;
    chars += message.segment.content.length;
    if (chars < BATCH_CHARS && batch.length < BATCH_SEGMENTS) continue;
    await stageSegments(batch, null, step);
    yield* batch;
    batch = [];
    chars = 0;
  }
  if (segments === 0) throw new Failure("extract.empty");
  await stageSegments(batch, { mediaType }, step);
  step.activity.say("segments.extracted", {
    jobId: step.job.id,
    mediaType: mediaType ?? "unknown",
    segments,
    durationMs: Math.round(performance.now() - startedAt),
  });
  yield* batch;
}

/** Whoever waits for a free reader is not stalled; a reader that hangs is ended by its own time limit. */
async function* aliveUntilRead<Item>(items: AsyncIterable<Item>, step: StepContext): AsyncIterable<Item> {
  const alive = setInterval(step.touch, 1000);
  try {
    for await (const item of items) {
      clearInterval(alive);
      yield item;
    }
  } finally {
    clearInterval(alive);
  }
}

/** `last` with the final batch: from then on the document counts as parsed. */
async function stageSegments(
  batch: readonly Segment[],
  last: { readonly mediaType: string | null } | null,
  step: StepContext,
): Promise<void> {
  const answer = await step.call(
    "rag_stage_segments",
    {
      ...fenceOf(step.job),
      p_segments: batch.map((segment) => ({
        seq: segment.seq,
        content: segment.content,
        page_number: segment.pageNumber,
        section: segment.section,
        speaker: segment.speaker,
        started_ms: segment.startedMs,
        ended_ms: segment.endedMs,
      })),
      p_complete: last !== null,
      p_media_type: last?.mediaType ?? null,
    },
    { signal: step.signal },
  );
  step.touch();
  if (answer === "lease_lost") throw leaseLost();
}
