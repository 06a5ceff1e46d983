// Records chunks that the provider refused: where they stand and why, without their text.
import { z } from "zod";
import type { EmbeddedChunk } from "../document/chunk.ts";
import { sanitise } from "../document/sanitise.ts";
import { describeFailure } from "../failure/describe.ts";
import { Failure } from "../failure/failure.ts";
import { fenceOf, leaseLost, type StepContext } from "./step-context.ts";

/** A chunk without a vector, and why it has none. */
export type RejectedChunk = {
  readonly chunk: Pick<
    EmbeddedChunk,
    "chunkIndex" | "pageNumber" | "section" | "charStart" | "charEnd" | "embedSha256"
  >;
  readonly failure: Failure;
};

const answerOf = z.discriminatedUnion("state", [
  z.object({ state: z.literal("recorded"), rejected: z.number().int() }),
  z.object({ state: z.literal("lease_lost") }),
]);

export async function rejectChunks(rejected: readonly RejectedChunk[], step: StepContext): Promise<void> {
  const answer = answerOf.parse(
    await step.call(
      "rag_reject_chunks",
      { ...fenceOf(step.job), p_chunks: rejected.map(toRow) },
      { signal: step.signal },
    ),
  );
  step.touch();
  if (answer.state === "lease_lost") throw leaseLost();
  for (const { chunk, failure } of rejected) {
    const at = { chunk: chunk.chunkIndex, page: chunk.pageNumber };
    step.activity.say("chunk.rejected", {
      jobId: step.job.id,
      documentId: step.document.id,
      ...at,
      code: failure.code,
    });
  }
}

/** Why a document fails that has such chunks: the first of them, and how many there are. */
export function failureOfRejected({ chunk, failure }: RejectedChunk, rejected: number): Failure {
  // Where it stood in its batch says nothing to anybody.
  const { input: _, ...facts } = failure.facts;
  return new Failure(failure.code, {
    says: failure.message,
    facts: { chunk: chunk.chunkIndex, page: chunk.pageNumber, rejected, ...facts },
  });
}

const toRow = ({ chunk, failure }: RejectedChunk) => ({
  chunk_index: chunk.chunkIndex,
  code: failure.code,
  detail: sanitise(
    describeFailure(
      new Failure(failure.code, { says: failure.message, facts: { ...failure.facts, input: null } }),
    ),
  ),
  page_number: chunk.pageNumber,
  section: chunk.section,
  char_start: chunk.charStart,
  char_end: chunk.charEnd,
  embed_sha256: chunk.embedSha256,
});
