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
  }),
  z.object({ state: z.literal("lease_lost") }),
  z.object({ state: z.literal("model_mismatch"), model: z.string(), dimensions: whole }),
  z.object({ state: z.literal("no_segments") }),
  z.object({ state: z.literal("empty_segment"), seq: z.number().int() }),
]);

export type Generation = {
  readonly number: number;
  /** The live generation is of the same content and plan: only completing is left. */
  readonly unchanged: boolean;
  /** Segments that the database holds, and whether these are all. */
  readonly segments: number;
  readonly segmentsComplete: boolean;
  /** Chunks that an earlier run of this generation left; 0 for a fresh one. */
  readonly staged: number;
};

/** `original` is null for a transcript: the database hashes and copies its segments. */
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
        facts: { configured: plan.embedding_model, live: answer.model, liveDimensions: answer.dimensions },
      });
    default:
      return {
        number: answer.generation,
        unchanged: answer.state === "unchanged",
        segments: answer.segments,
        segmentsComplete: answer.segments_complete,
        staged: answer.staged,
      };
  }
}
