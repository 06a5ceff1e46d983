// Pieces that a chunker compares are paid for like chunks: what they cost is told with the next batch of chunks.
import type { EmbedPieces } from "../chunkers/chunker.ts";
import type { EmbedBatch } from "./embed-batch.ts";
import type { StepContext } from "./step-context.ts";

/** A step that says nothing for long is taken for hung: a slow provider answers these within seconds. */
const AT_ONCE = 128;

/** One way for pieces and one for chunks, through the same embedder. */
export function countPieces(
  embed: EmbedBatch,
  step: Pick<StepContext, "signal" | "touch">,
): { readonly pieces: EmbedPieces; readonly chunks: EmbedBatch } {
  let tokens = 0;
  let costUsd = 0;
  return {
    async pieces(texts) {
      const vectors: Float32Array[] = [];
      for (let from = 0; from < texts.length; from += AT_ONCE) {
        const answer = await embed(texts.slice(from, from + AT_ONCE), step.signal);
        step.touch();
        tokens += answer.tokens;
        costUsd += answer.costUsd;
        vectors.push(...answer.vectors);
      }
      return vectors;
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
