// The database's side of an analysis: what is known already, and what was said just now. Every call is fenced.
import { z } from "zod";
import type { Reply } from "../analysts/analyst.ts";
import type { DocumentAnalysis, GroupAnalysis } from "../document/analysis.ts";
import { fenceOf, leaseLost, type StepContext } from "./step-context.ts";

export type GroupKey = {
  readonly segmentFrom: number;
  readonly segmentTo: number;
  /** Of all that it is asked by, but for where it stands. */
  readonly sha256: string;
};

/** What an earlier run, or the same text elsewhere, left. */
export type KnownGroup = {
  readonly summary: string | null;
  readonly chunkContexts: readonly string[];
};

const lost = z.object({ state: z.literal("lease_lost") });
const begunOf = z.union([
  z.object({
    state: z.literal("begun"),
    known: z.array(
      z.object({
        segment_from: z.number(),
        summary: z.string().nullable(),
        chunk_contexts: z.array(z.string()),
      }),
    ),
    document: z.boolean(),
  }),
  lost,
]);
const storedOf = z.union([z.object({ state: z.literal("stored"), stored: z.number() }), lost]);

export async function beginAnalyses(
  groups: readonly GroupKey[],
  plan: string,
  step: StepContext,
): Promise<{ readonly known: ReadonlyMap<number, KnownGroup>; readonly document: boolean }> {
  const args = {
    ...fenceOf(step.job),
    p_plan: plan,
    p_groups: groups.map((group) => ({
      segment_from: group.segmentFrom,
      segment_to: group.segmentTo,
      group_sha256: group.sha256,
    })),
  };
  const answer = begunOf.parse(await step.call("rag_begin_analyses", args, { signal: step.signal }));
  step.touch();
  if (answer.state === "lease_lost") throw leaseLost();
  const known = answer.known.map(
    (row) =>
      [row.segment_from, { summary: row.summary, chunkContexts: row.chunk_contexts }] satisfies [
        number,
        KnownGroup,
      ],
  );
  return { known: new Map(known), document: answer.document };
}

export type ToStore = {
  readonly model: string;
  readonly plan: string;
  /** Whose cost it is; null where it is booked already. */
  readonly workerId: string | null;
  readonly group?: { readonly key: GroupKey; readonly reply: Reply };
  readonly document?: Reply;
  /** Where all groups of the document begin, with the last of them. */
  readonly allGroups?: readonly number[];
};

/** Throws `job.lease-lost` when somebody else has the job: then nothing is stored, and nothing is booked. */
export async function storeAnalyses(
  { group, document, ...given }: ToStore,
  step: StepContext,
): Promise<void> {
  const args = {
    ...fenceOf(step.job),
    p_worker: given.workerId,
    p_model: given.model,
    p_plan: given.plan,
    p_analyses: group === undefined ? [] : [groupRow(group.key, group.reply)],
    p_document: document === undefined ? null : documentRow(document),
    p_groups: given.allGroups ?? null,
  };
  // Not with the job's signal: it is paid for, and a call that is cut would have to be paid for again.
  const answer = storedOf.parse(await step.call("rag_store_analyses", args));
  step.touch();
  if (answer.state === "lease_lost") throw leaseLost();
}

function groupRow(key: GroupKey, reply: Reply) {
  // SAFETY: a question about a group is answered by an analysis of one, checked where it was read.
  const said = reply.said as GroupAnalysis | null;
  return {
    segment_from: key.segmentFrom,
    segment_to: key.segmentTo,
    group_sha256: key.sha256,
    summary: said?.summary ?? null,
    topics: said?.topics ?? [],
    entities: said?.entities ?? [],
    key_points: said?.keyPoints ?? [],
    questions: said?.questions ?? [],
    conversation: said?.conversation
      ? {
          decisions: said.conversation.decisions,
          action_items: said.conversation.actionItems,
          sentiment: said.conversation.sentiment,
        }
      : null,
    chunk_contexts: said?.chunkContexts ?? [],
    ...paid(reply),
  };
}

function documentRow(reply: Reply) {
  // SAFETY: as above, for a question about the whole.
  const said = reply.said as DocumentAnalysis | null;
  return {
    title: said?.title ?? null,
    summary: said?.summary ?? null,
    language: said?.language ?? null,
    topics: said?.topics ?? [],
    ...paid(reply),
  };
}

const paid = ({ code, use, costUsd }: Reply) => ({
  error_code: code,
  input_tokens: use.input,
  cache_write_tokens: use.cacheWrite,
  cache_read_tokens: use.cacheRead,
  output_tokens: use.output,
  cost_usd: costUsd.toFixed(8),
});
