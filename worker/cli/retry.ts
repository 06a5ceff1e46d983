// rag retry: failed and cancelled jobs into the queue again, with all their attempts.
import { z } from "zod";
import { type ChooseOptions, chooseJobs } from "./choose-jobs.ts";
import { type CommandContext, type DefineCommand, exitCodes } from "./command.ts";
import { addFilterOptions } from "./job-filter.ts";
import { withParts } from "./open.ts";
import { counted } from "./words.ts";

type Options = ChooseOptions & { readonly json?: boolean };

export const defineRetry: DefineCommand = (command, context) => {
  addFilterOptions(command.argument("[id...]", "jobs by id, or by its first digits"))
    .option("--yes", "do not ask")
    .addHelpText(
      "after",
      "\nWithout --status: failed and cancelled jobs when named by id, failed ones when chosen by a filter." +
        "\nA processing job is taken from its worker only when --status processing says so.",
    )
    .action((ids: readonly string[], options: Options) => retry(ids, options, context));
};

async function retry(typed: readonly string[], options: Options, context: CommandContext): Promise<void> {
  const { terminal } = context;
  const choice = {
    verb: "Retry",
    statuses: { named: ["failed", "cancelled"], filtered: ["failed"] },
  } as const;
  await withParts(context, async ({ database: { call } }) => {
    const filter = await chooseJobs(call, typed, options, choice, terminal);
    if (filter === null) {
      if (options.json) terminal.record({ requeued: 0 });
      return;
    }
    const answer = z.object({ requeued: z.number() });
    const { requeued } = answer.parse(await call("rag_requeue_jobs", { p_filter: filter }));
    if (options.json) terminal.record({ requeued });
    else terminal.say(`${counted(requeued, "job")} back in the queue.`);
    if (requeued >= typed.length) return;
    terminal.note(
      "The others are not failed or cancelled, or their document has a newer job already: rag job ID says which.",
    );
    context.end(exitCodes.someFailed);
  });
}
