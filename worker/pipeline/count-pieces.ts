// Pieces that a chunker compares are paid for like chunks: what they cost is told with the next batch of chunks.
import type { EmbedPieces } from "../chunkers/chunker.ts";
import type { EmbedBatch } from "./embed-batch.ts";
import type { StepContext } from "./step-context.ts";

/** One way for pieces and one for chunks, through the same embedder. */
export function countPieces(
  embed: EmbedBatch,
  step: Pick<StepContext, "signal" | "touch">,
): { readonly pieces: EmbedPieces; readonly chunks: EmbedBatch } {
  let tokens = 0;
  let costUsd = 0;
  return {
    async pieces(texts) {
      const answer = await embed(texts, step.signal);
      step.touch();
      tokens += answer.tokens;
      costUsd += answer.costUsd;
      return answer.vectors;
    },
    async chunks(texts, signal) {
      const answer = await embed(texts, signal);
      const total = { ...answer, tokens: answer.tokens + tokens, costUsd: answer.costUsd + costUsd };
      tokens = 0;
      costUsd = 0;
      return total;
    },
  };
}
