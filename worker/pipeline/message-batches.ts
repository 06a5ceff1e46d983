// Questions about documents on their way through Claude's Message Batches: what the turns of llm-batches do for them.
import { z } from "zod";
import type { Activity } from "../activity/activity.ts";
import type { Question } from "../analysts/analyst.ts";
import { sayAnswered } from "../analysts/claude.ts";
import type { BatchAnswer, BatchQuestion, MessageBatchApi } from "../analysts/claude-batches.ts";
import type { Ledger } from "../costs/ledger.ts";
import type { SqlCall } from "../document/sql-call.ts";
import { secondTry } from "./ask-analyst.ts";
import type { BatchSeen, BatchWork, OpenBatch, Paid } from "./llm-batches.ts";

export type MessageBatchesOptions = {
  readonly call: SqlCall;
  readonly activity: Activity;
  readonly api: MessageBatchApi;
  readonly ledger: Pick<Ledger, "admit" | "note">;
  readonly workerId: string;
  readonly model: string;
};

const PROVIDER = "claude";
const MOST_INPUTS = 5_000;
// An eighth of what a batch may hold, for it is in memory while it is sent. Prompts of one document are sent again for
// each of its questions, and cached over there.
const MOST_BYTES = 32 * 1024 * 1024;
// A prompt is 90 KB at most.
const PAGE = 25;
const RESULTS_A_CALL = 50;
// Two clocks, and the time between choosing what goes into a batch and starting it.
const CLOCKS_APART_MS = 300_000;

const filledOf = z.object({ id: z.string().nullable(), inputs: z.number() });
const questionOf = z.object({
  of: z.enum(["group", "document"]),
  suffix: z.string(),
  chunks: z.number(),
  shared: z.boolean(),
  maxTokens: z.number(),
});
const pageOf = z.object({
  requests: z.array(z.object({ id: z.string(), prefix_sha256: z.string(), question: questionOf })),
  prompts: z.record(z.string(), z.string()),
});
const foundOf = z.array(z.object({ id: z.string(), question: questionOf }));
const paidOf = z.object({ stored: z.number(), tokens: z.coerce.number(), cost_usd: z.coerce.number() });

export function openMessageBatchWork(options: MessageBatchesOptions): BatchWork {
  const { call, api, activity, workerId, model } = options;
  return {
    provider: PROVIDER,
    mostInputs: MOST_INPUTS,
    takeTurn: (seconds) =>
      call("rag_take_analysis_turn", { p_worker: workerId, p_provider: PROVIDER, p_seconds: seconds }),
    admit: () => options.ledger.admit(),
    async fill() {
      const given = { p_worker: workerId, p_provider: PROVIDER, p_model: model };
      const bounds = { p_limit: MOST_INPUTS, p_bytes: MOST_BYTES };
      return filledOf.parse(await call("rag_fill_analysis_batch", { ...given, ...bounds })).id;
    },
    async submit(id) {
      const questions = await readQuestions(id, call);
      return questions.length === 0 ? null : await api.submit(questions);
    },
    async noteSubmitted(id, providerId) {
      await call("rag_submit_llm_batch", { p_batch: id, p_provider_batch_id: providerId });
    },
    isRefusal: ({ code }) => code === "analyse.input-rejected",
    find: (batch, others) => findStarted(batch, others, options),
    async look(providerId): Promise<BatchSeen> {
      return { state: (await api.isEnded(providerId)) ? "completed" : "running", code: null };
    },
    collect: (batch) => collect(batch, options),
    cancel: (providerId) => api.cancel(providerId),
    async end(id, outcome, code, { tokens, costUsd }) {
      await call("rag_end_analysis_batch", {
        p_batch: id,
        p_outcome: outcome,
        p_detail: code,
        p_tokens: tokens,
        p_cost_usd: costUsd.toFixed(8),
      });
    },
    async forget({ provider_batch_id: providerId }) {
      if (providerId !== null) await api.forget(providerId);
    },
    failed: (code) => activity.say("analysis.failed", { provider: PROVIDER, code, durationMs: 0 }),
  };
}

async function readQuestions(id: string, call: SqlCall): Promise<readonly BatchQuestion[]> {
  const questions: BatchQuestion[] = [];
  for (let after: string | null = null; ; ) {
    const given: Record<string, unknown> = { p_batch: id, p_after: after, p_limit: PAGE };
    const { requests, prompts } = pageOf.parse(await call("rag_read_analysis_batch", given));
    for (const row of requests)
      questions.push({
        id: row.id,
        question: { ...row.question, prefix: prompts[row.prefix_sha256] ?? "" },
      });
    const last = requests.at(-1);
    if (last === undefined) return questions;
    after = last.id;
  }
}

/**
 * A batch carries no name of ours. One of as many requests that was started since is ours if its first answer is to one
 * of our questions, which can only be seen once it has ended; until then we neither take it nor pay for another.
 */
async function findStarted(
  batch: OpenBatch,
  others: readonly OpenBatch[],
  { api, call }: MessageBatchesOptions,
): Promise<string | null | "unsure"> {
  const oldestMs = (batch.age_seconds ?? 0) * 1000 + CLOCKS_APART_MS;
  const candidates = (await api.newest()).filter(
    ({ id, inputs, ageMs }) =>
      inputs === batch.inputs &&
      ageMs <= oldestMs &&
      others.every(({ provider_batch_id }) => provider_batch_id !== id),
  );
  for (const { id } of candidates.filter(({ isEnded }) => isEnded))
    for await (const answer of api.results(id)) {
      const [ours] = await questionsOf(batch.id, [answer], call);
      if (ours !== undefined) return id;
      break;
    }
  return candidates.some(({ isEnded }) => !isEnded) ? "unsure" : null;
}

async function questionsOf(batchId: string, answers: readonly BatchAnswer[], call: SqlCall) {
  const ids = answers.map(({ customId }) => customId).filter((id) => /^[0-9a-f-]{36}$/.test(id));
  return foundOf.parse(await call("rag_find_analysis_requests", { p_batch: batchId, p_ids: ids }));
}

async function collect(batch: OpenBatch, options: MessageBatchesOptions): Promise<Paid> {
  let paid: Paid = { tokens: 0, costUsd: 0 };
  const storePart = async (part: readonly BatchAnswer[]) => {
    const stored = await store(batch.id, part, options);
    paid = { tokens: paid.tokens + stored.tokens, costUsd: paid.costUsd + stored.costUsd };
  };
  if (batch.provider_batch_id === null) return paid;
  let part: BatchAnswer[] = [];
  for await (const answer of options.api.results(batch.provider_batch_id)) {
    part.push(answer);
    if (part.length < RESULTS_A_CALL) continue;
    await storePart(part);
    part = [];
  }
  await storePart(part);
  return paid;
}

/** Stores what can be read, matched by id, and books it in the same call. */
async function store(
  batchId: string,
  part: readonly BatchAnswer[],
  { api, call, activity, ledger, workerId, model }: MessageBatchesOptions,
): Promise<Paid> {
  if (part.length === 0) return { tokens: 0, costUsd: 0 };
  const asked = new Map(
    (await questionsOf(batchId, part, call)).map((row) => [row.id, { ...row.question, prefix: "" }]),
  );
  const results = part.flatMap((answer) => {
    const question: Question | undefined = asked.get(answer.customId);
    const reply = question === undefined ? null : api.reply(answer, question);
    if (question === undefined || reply === null) return [];
    sayAnswered(activity, model, reply, null);
    const again = secondTry(question, reply);
    return [
      {
        id: answer.customId,
        said: reply.said,
        code: reply.code,
        input_tokens: reply.use.input,
        cache_write_tokens: reply.use.cacheWrite,
        cache_read_tokens: reply.use.cacheRead,
        output_tokens: reply.use.output,
        cost_usd: reply.costUsd.toFixed(8),
        again: again === null ? null : questionOf.parse(again),
      },
    ];
  });
  const given = { p_batch: batchId, p_worker: workerId, p_results: results };
  const { tokens, cost_usd: costUsd } = paidOf.parse(await call("rag_store_analysis_results", given));
  ledger.note(costUsd);
  return { tokens, costUsd };
}
