// Snippets that a chunker compares are paid for like chunks: what they cost is told with the next batch of chunks.
// A snippet that the provider refuses is not compared: the chunk it goes into is the one that is refused and named.
import type { EmbedSnippets } from "../chunkers/chunker.ts";
import { Failure } from "../failure/failure.ts";
import type { EmbedBatch } from "./embed-batch.ts";
import { type StepContext, waitInLine } from "./step-context.ts";

/** A step that says nothing for long is taken for hung: a slow provider answers these within seconds. */
const AT_ONCE = 128;

/** One way for snippets and one for chunks, through the same embedder. */
export function countSnippets(
  embed: EmbedBatch,
  step: Pick<StepContext, "touch">,
): { readonly snippets: (signal: AbortSignal) => EmbedSnippets; readonly chunks: EmbedBatch } {
  let tokens = 0;
  let costUsd = 0;
  return {
    snippets: (signal) => async (texts) => {
      const vectors: Float32Array[] = [];
      for (let from = 0; from < texts.length; from += AT_ONCE) {
        const answer = await waitInLine(step, embed(texts.slice(from, from + AT_ONCE), signal));
        step.touch();
        tokens += answer.tokens;
        costUsd += answer.costUsd;
        for (const [at, vector] of answer.vectors.entries()) {
          // As much like its neighbour as can be: no boundary beside it.
          const stand = vector ?? vectors.at(-1) ?? answer.vectors.find((other) => other !== null);
          if (stand === undefined || stand === null)
            throw answer.rejected?.get(at) ?? new Failure("embed.bad-answer");
          vectors.push(stand);
        }
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
