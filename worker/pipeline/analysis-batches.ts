// A job's side of batches for analyses: says which questions it has, and takes the answers when they are there.
import { z } from "zod";
import type { Analyst, Question, Reply } from "../analysts/analyst.ts";
import { prefixSha } from "../analysts/prompt.ts";
import type { Ledger } from "../costs/ledger.ts";
import type { FailureCode } from "../failure/catalogue.ts";
import { Failure } from "../failure/failure.ts";
import type { Asked } from "./ask-analyst.ts";
import { fenceOf, leaseLost, type StepContext } from "./step-context.ts";

/** `name`: the question's, among those about one prompt. */
export type Named = Asked & { readonly name: string };

export type AnalysisBatches = {
  /** Stores what is answered and wants the rest. Answers how many questions are still on their way. All have one prefix. */
  ask(asked: readonly Named[], step: StepContext): Promise<number>;
};

/** The end of a batch wakes the job; this is for a wake-up that was lost. */
const LOOK_AGAIN_MS = 3_600_000;

const tokens = z.coerce.number().int().nonnegative();
const wantedOf = z.union([
  z.object({
    state: z.literal("answered"),
    done: z.array(
      z.object({
        name: z.string(),
        said: z.unknown(),
        code: z.string().nullable(),
        input_tokens: tokens,
        cache_write_tokens: tokens,
        cache_read_tokens: tokens,
        output_tokens: tokens,
        cost_usd: z.coerce.number(),
      }),
    ),
    pending: z.number(),
    unknown: z.number(),
  }),
  z.object({ state: z.literal("lease_lost") }),
]);

export function openAnalysisBatches({
  analyst,
  ledger,
}: {
  readonly analyst: Analyst;
  readonly ledger: Pick<Ledger, "admit">;
}): AnalysisBatches {
  async function want(asked: readonly Named[], prefix: string, takeIn: boolean, step: StepContext) {
    const args = {
      ...fenceOf(step.job),
      p_plan: analyst.plan,
      p_model: analyst.model,
      p_prefix_hash: prefixSha(prefix),
      p_prefix: takeIn ? prefix : null,
      p_questions: asked.map(({ name, question }) => ({ name, question: withoutPrefix(question) })),
    };
    const answer = wantedOf.parse(await step.call("rag_want_analyses", args, { signal: step.signal }));
    step.touch();
    if (answer.state === "lease_lost") throw leaseLost();
    return answer;
  }

  return {
    async ask(asked, step) {
      const prefix = asked[0]?.question.prefix ?? "";
      let answer = await want(asked, prefix, false, step);
      if (answer.unknown > 0) {
        if (analyst.isPriced) ledger.admit();
        answer = await want(asked, prefix, true, step);
      }
      for (const row of answer.done) {
        const reply: Reply = {
          // SAFETY: written by what collects a batch, which checked it.
          said: row.said as Reply["said"],
          code: row.code as FailureCode | null,
          use: {
            input: row.input_tokens,
            cacheWrite: row.cache_write_tokens,
            cacheRead: row.cache_read_tokens,
            output: row.output_tokens,
          },
          costUsd: row.cost_usd,
        };
        await asked.find(({ name }) => name === row.name)?.store(reply);
      }
      return answer.pending;
    },
  };
}

export const batchPending = (questions: number): Failure =>
  new Failure("analyse.batch-pending", { retryAfterMs: LOOK_AGAIN_MS, facts: { questions } });

const withoutPrefix = ({ prefix: _, ...rest }: Question) => rest;
