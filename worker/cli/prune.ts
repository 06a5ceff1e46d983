// rag prune: deletes jobs that ended long ago; their documents and chunks stay. A stretch of the table at a time, so
// that a million rows are no long transaction, and a stop in between leaves nothing half done.
import { z } from "zod";
import type { SqlCall } from "../document/sql-call.ts";
import { type CommandContext, type DefineCommand, exitCodes } from "./command.ts";
import { confirm } from "./confirm.ts";
import { addActOptions, addFilterOptions, type FilterOptions, filterOf } from "./job-filter.ts";
import { hasEnded, type JobFilter, resolveJobIds } from "./job-row.ts";
import { configOf, withParts } from "./open.ts";
import type { Terminal } from "./terminal.ts";
import { usage } from "./usage.ts";
import { count, counted } from "./words.ts";

type Options = FilterOptions & { readonly json?: boolean; readonly yes?: boolean; readonly dryRun?: boolean };

const TELL_EVERY_MS = 5_000;
const DAY_SECONDS = 86_400;

export const definePrune: DefineCommand = (command, context) => {
  addActOptions(addFilterOptions(command.argument("[id...]", "jobs by id, however old they are")))
    .addHelpText(
      "after",
      "\nWithout --older-than: jobs that ended RAG_RETENTION_DAYS ago. Jobs that wait or run are never pruned." +
        "\nA dedupe key is forgotten together with its job.",
    )
    .action((ids: readonly string[], options: Options) => prune(ids, options, context));
};

async function prune(typed: readonly string[], options: Options, context: CommandContext): Promise<void> {
  const { terminal } = context;
  const config = configOf();
  if (options.waits !== undefined || options.status?.some((status) => !hasEnded({ status })))
    throw usage("Only jobs that have ended are pruned: --status complete, failed or cancelled.");
  await withParts(
    context,
    async ({ database: { call } }) => {
      const { ids, unknown } = await resolveJobIds(call, typed);
      const filter: JobFilter = {
        older_than_seconds: typed.length > 0 ? 0 : config.retentionDays * DAY_SECONDS,
        ...filterOf(options),
        ...(typed.length > 0 && { job_ids: ids }),
      };
      const would = await walk(call, filter, true, null);
      if (options.dryRun)
        say(options, terminal, "would_prune", would, "would be deleted. Nothing was changed.");
      else {
        const many = counted(would, "finished job");
        const sure = would > 0 && (await confirm(`Delete ${many}?`, options.yes === true, terminal));
        const pruned = sure ? await walk(call, filter, false, options.json ? null : terminal) : 0;
        say(options, terminal, "pruned", pruned, "deleted.");
      }
      for (const id of unknown) terminal.error(`No job has the id ${id}. rag jobs lists them.`);
      if (would < ids.length) terminal.error("The others have not ended: rag cancel first.");
      if (unknown.length > 0 || would < ids.length) context.end(exitCodes.someFailed);
    },
    config,
  );
}

function say(options: Options, terminal: Terminal, name: string, jobs: number, what: string): void {
  if (options.json) terminal.record({ [name]: jobs });
  else terminal.say(`${counted(jobs, "finished job")} ${what}`);
}

const step = z.object({
  pruned: z.number().default(0),
  would_prune: z.number().default(0),
  next_page: z.number().nullable(),
});

/** Once over the whole table; ends because each call begins where the one before ended. */
async function walk(
  call: SqlCall,
  filter: JobFilter,
  dryRun: boolean,
  told: Terminal | null,
): Promise<number> {
  let jobs = 0;
  let toldAt = performance.now();
  for (let page: number | null = 0; page !== null; ) {
    const answer = step.parse(await call("rag_prune", { p_filter: filter, p_page: page, p_dry_run: dryRun }));
    jobs += answer.pruned + answer.would_prune;
    page = answer.next_page;
    if (told === null || performance.now() - toldAt < TELL_EVERY_MS) continue;
    toldAt = performance.now();
    told.note(`${count(jobs)} deleted so far`);
  }
  return jobs;
}
