// What rag retry and rag cancel have in common: which jobs are meant, how many, a question, then the act in steps.
import { z } from "zod";
import type { Parts } from "../assemble.ts";
import type { SqlCall } from "../document/sql-call.ts";
import { type CommandContext, exitCodes } from "./command.ts";
import { confirm } from "./confirm.ts";
import { type FilterOptions, filterOf, filterWords } from "./job-filter.ts";
import { type JobFilter, type JobRow, type JobStatus, jobStatuses, resolveJobIds } from "./job-row.ts";
import { configOf, withParts } from "./open.ts";
import type { Terminal } from "./terminal.ts";
import { usage } from "./usage.ts";
import { wakeWorkers } from "./wake-workers.ts";
import { counted } from "./words.ts";

export type ActOptions = FilterOptions & {
  readonly json?: boolean;
  readonly yes?: boolean;
  readonly dryRun?: boolean;
};

export type Act = {
  /** `Retry`, for the question. */
  readonly verb: string;
  readonly sql: "rag_cancel_jobs" | "rag_requeue_jobs";
  /** The count's name in the answer, and in that of a dry run. */
  readonly done: string;
  readonly would: string;
  /** Statuses that are meant when none is given: for jobs named by id, and for a filter; and all that may be meant. */
  readonly statuses: {
    readonly named: readonly JobStatus[];
    readonly filtered: readonly JobStatus[];
    readonly all: readonly JobStatus[];
  };
  /** `3 jobs` and what became of them. */
  readonly says: (jobs: string) => string;
  /** `is complete:` and what to do instead: why a job that was named is left alone in such a state. */
  readonly left: Readonly<Partial<Record<JobStatus, string>>>;
  /** Why else. */
  readonly leftAnyway: string;
};

/** Jobs in one call: some hundred milliseconds, so that a stop loses little and no lock is held for long. */
const JOBS_A_CALL = 1_000;

/**
 * Ends with 1 when a job that was named is unknown or was left alone. Throws `usage.invalid` when neither ids nor
 * a filter were given, or nobody can be asked.
 */
export async function actOnJobs(
  typed: readonly string[],
  options: ActOptions,
  act: Act,
  context: CommandContext,
): Promise<void> {
  const { terminal } = context;
  const config = configOf();
  const given = filterOf(options);
  if (typed.length === 0 && Object.keys(given).length === 0)
    throw usage(`Say which jobs: by id, or by ${filterWords}.`);
  const work = async (parts: Parts) => {
    const { call } = parts.database;
    const { ids, rows, unknown } = await resolveJobIds(call, typed);
    const statuses = typed.length > 0 ? act.statuses.named : act.statuses.filtered;
    // Reasons to wait are a queued job's alone.
    const base: JobFilter = given.waits_for === undefined ? { status: statuses, ...given } : given;
    const filter = typed.length > 0 ? { ...base, job_ids: ids } : base;
    const tell = tellerOf(act, unknown, options.json === true, terminal);
    const would = typed.length > 0 && options.dryRun !== true ? ids.length : await count(call, act, filter);
    if (options.dryRun) tell.would(would);
    else if (would === 0) tell.none();
    else {
      const sure =
        typed.length > 0 ||
        (await confirm(`${act.verb} ${counted(would, "job")}?`, options.yes === true, terminal));
      const done = sure ? await doAll(call, act, filter, would) : 0;
      tell.done(done);
      if (done > 0 && act.sql === "rag_requeue_jobs") await wakeWorkers(parts);
      if (done < ids.length) {
        for (const line of whyLeft(act, rows, given.status, done)) terminal.error(line);
        context.end(exitCodes.someFailed);
      }
    }
    if (unknown.length > 0) context.end(exitCodes.someFailed);
  };
  await withParts(context, work, config);
}

/** Why all but `done` of the jobs were left alone, a line for each reason; `rows` are as they were before. */
export function whyLeft(
  act: Pick<Act, "statuses" | "left" | "leftAnyway">,
  rows: readonly Pick<JobRow, "status">[],
  asked: readonly JobStatus[] | undefined,
  done: number,
): string[] {
  const meant = act.statuses.all.filter((status) => (asked ?? act.statuses.named).includes(status));
  const lines: string[] = [];
  let others = rows.length - done;
  for (const status of jobStatuses) {
    const why = act.left[status];
    const jobs = rows.filter((row) => row.status === status).length;
    if (why === undefined || jobs === 0 || meant.includes(status)) continue;
    lines.push(`${counted(jobs, "job is", "jobs are")} ${why}`);
    others -= jobs;
  }
  return others > 0
    ? [...lines, `${counted(others, "job is", "jobs are")} left alone: ${act.leftAnyway}`]
    : lines;
}

async function count(call: SqlCall, act: Act, filter: JobFilter): Promise<number> {
  const answer = z.record(z.string(), z.number());
  return answer.parse(await call(act.sql, { p_filter: filter, p_dry_run: true }))[act.would] ?? 0;
}

async function doAll(call: SqlCall, act: Act, filter: JobFilter, would: number): Promise<number> {
  const answer = z.record(z.string(), z.number());
  let done = 0;
  // No further than what was asked about: others may go on adding jobs that fit.
  while (done < would) {
    const limit = Math.min(JOBS_A_CALL, would - done);
    const step = answer.parse(await call(act.sql, { p_filter: filter, p_limit: limit }))[act.done] ?? 0;
    if (step === 0) break;
    done += step;
  }
  return done;
}

function tellerOf(act: Act, unknown: readonly string[], json: boolean, terminal: Terminal) {
  const lacking = () => {
    for (const id of unknown) terminal.error(`No job has the id ${id}. rag jobs lists them.`);
    return unknown.length > 0 ? { unknown } : {};
  };
  return {
    would(jobs: number) {
      if (json) terminal.record({ [act.would]: jobs, ...lacking() });
      else {
        lacking();
        terminal.say(`${act.verb} would touch ${counted(jobs, "job")}. Nothing was changed.`);
      }
    },
    none() {
      if (unknown.length === 0) terminal.note("No job fits.");
      const rest = lacking();
      if (json) terminal.record({ [act.done]: 0, ...rest });
    },
    done(jobs: number) {
      const rest = lacking();
      if (json) terminal.record({ [act.done]: jobs, ...rest });
      else terminal.say(act.says(counted(jobs, "job")));
    },
  };
}
