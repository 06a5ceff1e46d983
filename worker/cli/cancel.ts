// rag cancel: jobs that wait or run come to an end; what is live already stays live.
import { z } from "zod";
import { type ChooseOptions, chooseJobs } from "./choose-jobs.ts";
import { type CommandContext, type DefineCommand, exitCodes } from "./command.ts";
import { addFilterOptions } from "./job-filter.ts";
import { withParts } from "./open.ts";
import { counted } from "./words.ts";

type Options = ChooseOptions & { readonly json?: boolean };

export const defineCancel: DefineCommand = (command, context) => {
  addFilterOptions(command.argument("[id...]", "jobs by id, or by its first digits"))
    .option("--yes", "do not ask")
    .action((ids: readonly string[], options: Options) => cancel(ids, options, context));
};

async function cancel(typed: readonly string[], options: Options, context: CommandContext): Promise<void> {
  const { terminal } = context;
  const statuses = ["queued", "processing"] as const;
  const choice = { verb: "Cancel", statuses: { named: statuses, filtered: statuses } };
  await withParts(context, async ({ database: { call } }) => {
    const filter = await chooseJobs(call, typed, options, choice, terminal);
    if (filter === null) {
      if (options.json) terminal.record({ cancelled: 0 });
      return;
    }
    const answer = z.object({ cancelled: z.number() });
    const { cancelled } = answer.parse(await call("rag_cancel_jobs", { p_filter: filter }));
    if (options.json) terminal.record({ cancelled });
    else terminal.say(`${counted(cancelled, "job")} cancelled.`);
    if (cancelled >= typed.length) return;
    terminal.note("The others had ended already: rag job ID says how.");
    context.end(exitCodes.someFailed);
  });
}
