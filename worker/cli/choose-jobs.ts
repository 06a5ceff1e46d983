// Which jobs an operator means, with a count and a question before many of them are touched.
import { createInterface } from "node:readline/promises";
import type { SqlCall } from "../document/sql-call.ts";
import { type FilterOptions, filterOf } from "./job-filter.ts";
import { type JobFilter, type JobStatus, listJobs, MOST_ROWS, resolveJobIds } from "./job-row.ts";
import type { Terminal } from "./terminal.ts";
import { usage } from "./usage.ts";
import { counted } from "./words.ts";

export type Choice = {
  /** `Retry`, for the question. */
  readonly verb: string;
  /** Statuses that are meant when none is given: for jobs named by id, and for a filter. */
  readonly statuses: { readonly named: readonly JobStatus[]; readonly filtered: readonly JobStatus[] };
};

export type ChooseOptions = FilterOptions & { readonly yes?: boolean };

/**
 * The filter to act on; null when the operator said no or nothing fits. Jobs named by id need no question.
 * Throws `usage.invalid` when neither ids nor a filter were given, or nobody can be asked.
 */
export async function chooseJobs(
  call: SqlCall,
  typed: readonly string[],
  options: ChooseOptions,
  choice: Choice,
  terminal: Terminal,
): Promise<JobFilter | null> {
  const filter = filterOf(options);
  if (typed.length === 0 && Object.keys(filter).length === 0)
    throw usage("Say which jobs: by id, or by --status, --tenant, --collection, --kind or --code.");
  if (typed.length > 0)
    return { status: choice.statuses.named, ...filter, job_ids: await resolveJobIds(call, typed) };

  const chosen: JobFilter = { status: choice.statuses.filtered, ...filter };
  const found = await listJobs(call, chosen, MOST_ROWS);
  if (found.length === 0) {
    terminal.note("No job fits.");
    return null;
  }
  const many = found.length >= MOST_ROWS ? `${MOST_ROWS} jobs or more` : counted(found.length, "job");
  return (await confirm(`${choice.verb} ${many}?`, options.yes === true, terminal)) ? chosen : null;
}

async function confirm(question: string, yes: boolean, terminal: Terminal): Promise<boolean> {
  if (yes) return true;
  if (terminal.stdin.isTTY !== true || terminal.stderr.isTTY !== true)
    throw usage(`${question} Nobody can answer here: add --yes.`);
  const asking = createInterface({ input: terminal.stdin, output: process.stderr });
  try {
    const answer = await asking.question(`${question} [y/N] `);
    return /^y(es)?$/i.test(answer.trim());
  } finally {
    asking.close();
  }
}
