// POST /jobs/actions: retry, cancel and prioritise, by id or by filter; pause and resume. Whoever asks counts first
// (`count_only`), has a person agree, and then acts in steps, so that no call is long and a stop loses nothing.
import { z } from "zod";
import { type Answer, invalid, json } from "../../document/http-answer.ts";
import type { SqlCall } from "../../document/sql-call.ts";
import type { Log } from "../../log/log.ts";
import { jobFilter } from "./job-filter.ts";

/** Jobs in one step: some hundred milliseconds. */
const MOST_AT_ONCE = 1000;

const meant = {
  filter: jobFilter.refine((filter) => Object.keys(filter).length > 0, "Say which jobs; {} would be all"),
  /** Only how many it would be. */
  count_only: z.boolean().default(false),
  /** No more than so many: those that were agreed to. Others may go on adding jobs that fit. */
  at_most: z.int().min(1).max(MOST_AT_ONCE).default(MOST_AT_ONCE),
};
const name = z.string().max(300).default("");
const scope = z.enum(["all", "kind", "tenant"]);

const action = z.discriminatedUnion("action", [
  z.strictObject({ action: z.literal("retry"), ...meant }),
  z.strictObject({ action: z.literal("cancel"), ...meant }),
  z.strictObject({ action: z.literal("prioritise"), ...meant, priority: z.int().min(0).max(9) }),
  z.strictObject({ action: z.literal("pause"), scope, name, reason: z.string().max(500).nullish() }),
  z.strictObject({ action: z.literal("resume"), scope, name }),
]);
type Action = z.infer<typeof action>;
type OnJobs = Extract<Action, { readonly filter: unknown }>;

const verbs = {
  retry: { sql: "rag_requeue_jobs", done: "requeued", would: "would_requeue" },
  cancel: { sql: "rag_cancel_jobs", done: "cancelled", would: "would_cancel" },
  prioritise: { sql: "rag_prioritise_jobs", done: "prioritised", would: "would_prioritise" },
} as const;

export type ActParts = { readonly database: { readonly call: SqlCall }; readonly wake: () => void };

/** Answers `{jobs}`: how many were changed, or with `count_only` would be; for a pause what the database says. */
export async function actOnJobs(
  { database, wake }: ActParts,
  body: unknown,
  signal: AbortSignal,
  log: Log,
): Promise<Answer> {
  const asked = action.safeParse(body);
  if (!asked.success) return invalid(asked.error);
  const act = asked.data;
  if (!("filter" in act)) {
    const { action: verb, ...pause } = act;
    const answer = await database.call(
      verb === "pause" ? "rag_pause_jobs" : "rag_resume_jobs",
      { p_scope: pause.scope, p_name: pause.name, ...("reason" in pause && { p_reason: pause.reason }) },
      { signal },
    );
    log.info({ action: verb, scope: pause.scope, name: pause.name }, "queue acted on over HTTP");
    if (verb === "resume") wake();
    return json(200, answer);
  }
  const jobs = await onJobs(database.call, act, signal);
  if (!act.count_only) {
    log.info({ action: act.action, filter: Object.keys(act.filter), jobs }, "jobs acted on over HTTP");
    if (jobs > 0 && act.action !== "cancel") wake();
  }
  return json(200, { jobs });
}

async function onJobs(call: SqlCall, act: OnJobs, signal: AbortSignal): Promise<number> {
  const verb = verbs[act.action];
  const args = {
    p_filter: filterOf(act),
    p_dry_run: act.count_only,
    p_limit: act.count_only ? null : act.at_most,
    ...(act.action === "prioritise" && { p_priority: act.priority }),
  };
  const answer = z.record(z.string(), z.number()).parse(await call(verb.sql, args, { signal }));
  return answer[act.count_only ? verb.would : verb.done] ?? 0;
}

/** What was named by id is retried whatever way it ended; a filter without a status means what has failed. */
function filterOf({ action: verb, filter }: OnJobs) {
  if (verb !== "retry" || filter.status !== undefined || filter.waits_for !== undefined) return filter;
  return { ...filter, status: filter.job_ids === undefined ? ["failed"] : ["failed", "cancelled"] };
}
