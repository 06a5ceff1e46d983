// Opens the generation under which this job's chunks are staged, or finds that nothing is left to do.
import { z } from "zod";
import type { Original } from "../document/document.ts";
import { Failure } from "../failure/failure.ts";
import type { Plan } from "./plan.ts";
import { fenceOf, leaseLost, type StepContext } from "./step-context.ts";

const whole = z.number().int().nonnegative();
const answerOf = z.discriminatedUnion("state", [
  z.object({
    state: z.enum(["begun", "resumed", "unchanged"]),
    generation: whole,
    segments: whole,
    segments_complete: z.boolean(),
    staged: whole,
    former: z.object({ generation: whole, chunks: whole }).nullish(),
  }),
  z.object({ state: z.literal("model_closing") }),
  z.object({ state: z.literal("twin") }),
  z.object({ state: z.literal("lease_lost") }),
  z.object({
    state: z.literal("model_mismatch"),
    model: z.string().nullable(),
    dimensions: whole.nullable(),
    quantisation: z.string().nullable(),
  }),
  z.object({ state: z.literal("no_segments") }),
  z.object({ state: z.literal("empty_segment"), seq: z.number().int() }),
]);

export type Generation = {
  readonly number: number;
  /** A generation of the same content and plan serves already: only completing is left. */
  readonly unchanged: boolean;
  /** Segments that the database holds, and whether these are all. */
  readonly segments: number;
  readonly segmentsComplete: boolean;
  /** Chunks that an earlier run of this generation left; 0 for a fresh one. */
  readonly staged: number;
  /** What serves until this one does, cut by the same plan from another text. */
  readonly former: { readonly generation: number; readonly chunks: number } | null;
};

// A switch of models holds new work back for two minutes at most, mostly for a few seconds.
const CLOSING_WAIT_MS = 5000;
// A document of 1,000 chunks takes some seconds; each look costs one reading of the original.
const TWIN_WAIT_MS = 3000;

/**
 * `original` is null for a transcript, whose segments the database hashes and copies, and for a document that is
 * embedded again: the database copies the segments of its live generation.
 */
export async function beginGeneration(
  original: Original | null,
  plan: Plan,
  step: StepContext,
): Promise<Generation> {
  const answer = answerOf.parse(
    await step.call(
      "rag_begin_generation",
      {
        ...fenceOf(step.job),
        p_plan: {
          ...plan,
          content_sha256: original?.sha256 ?? null,
          byte_size: original?.byteSize ?? null,
          media_type: null,
        },
      },
      { signal: step.signal },
    ),
  );
  step.touch();
  switch (answer.state) {
    case "lease_lost":
      throw leaseLost();
    case "no_segments":
      throw new Failure("chunk.no-segments");
    case "empty_segment":
      throw new Failure("chunk.empty-segment", { facts: { seq: answer.seq } });
    case "model_mismatch":
      throw new Failure("embed.model-mismatch", {
        facts: {
          configured: plan.embedding_model,
          dimensions: plan.dimensions,
          quantisation: plan.quantisation,
          live: answer.model,
          liveDimensions: answer.dimensions,
          liveQuantisation: answer.quantisation,
        },
      });
    case "model_closing":
      throw new Failure("embed.model-switching", { retryAfterMs: CLOSING_WAIT_MS });
    case "twin":
      throw new Failure("embed.same-content", { retryAfterMs: TWIN_WAIT_MS });
    default:
      return {
        number: answer.generation,
        unchanged: answer.state === "unchanged",
        segments: answer.segments,
        segmentsComplete: answer.segments_complete,
        staged: answer.staged,
        former: answer.former ?? null,
      };
  }
}
