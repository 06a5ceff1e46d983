// rag retry: failed and cancelled jobs into the queue again, with all their attempts.
import { type Act, type ActOptions, actOnJobs } from "./act-on-jobs.ts";
import type { DefineCommand } from "./command.ts";
import { addActOptions, addFilterOptions } from "./job-filter.ts";

const retry: Act = {
  verb: "Retry",
  sql: "rag_requeue_jobs",
  done: "requeued",
  would: "would_requeue",
  statuses: { named: ["failed", "cancelled"], filtered: ["failed"] },
  says: (jobs) => `${jobs} back in the queue.`,
  left: "The others are not failed or cancelled, or their document has a newer job already: rag job ID says which.",
};

export const defineRetry: DefineCommand = (command, context) => {
  addActOptions(addFilterOptions(command.argument("[id...]", "jobs by id, or by its first digits")))
    .addHelpText(
      "after",
      "\nWithout --status: failed and cancelled jobs when named by id, failed ones when chosen by a filter." +
        "\nA processing job is taken from its worker only when --status processing says so.",
    )
    .action((ids: readonly string[], options: ActOptions) => actOnJobs(ids, options, retry, context));
};
