// Writes a batch of chunks under the job's generation: lock, fence, rows and progress in one go.
import { z } from "zod";
import type { EmbeddedChunk } from "../document/chunk.ts";
import type { BatchProgress } from "../document/stage-chunks.ts";
import { leaseLost, type StepContext } from "./step-context.ts";
import { tellStep } from "./tell-step.ts";

const answerOf = z.discriminatedUnion("state", [
  z.object({
    state: z.literal("staged"),
    stored: z.number().int(),
    reused: z.number().int(),
    missing: z.array(z.number().int()),
    processed_chunks: z.number().int(),
  }),
  z.object({ state: z.literal("lease_lost") }),
]);

/** Throws `job.lease-lost` when somebody else has the job: nothing of the batch counts then. */
export async function stageChunks(
  chunks: readonly EmbeddedChunk[],
  progress: BatchProgress,
  step: StepContext,
) {
  const { jobId, token } = step.job.lease;
  const answer = answerOf.parse(
    await tellStep(
      "stage",
      step,
      () => step.stage({ jobId, token, chunks, progress }, { signal: step.signal }),
      () => ({ chunks: chunks.length }),
    ),
  );
  step.touch();
  if (answer.state === "lease_lost") throw leaseLost();
  return answer;
}
