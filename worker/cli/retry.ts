// rag retry: failed and cancelled jobs into the queue again, with all their attempts.
import { type Act, type ActOptions, actOnJobs } from "./act-on-jobs.ts";
import type { DefineCommand } from "./command.ts";
import { addActOptions, addFilterOptions } from "./job-filter.ts";

export const retry: Act = {
  verb: "Retry",
  sql: "rag_requeue_jobs",
  done: "requeued",
  would: "would_requeue",
  statuses: {
    named: ["failed", "cancelled"],
    filtered: ["failed"],
    all: ["failed", "cancelled", "processing"],
  },
  says: (jobs) => `${jobs} back in the queue.`,
  left: {
    complete:
      "complete: there is nothing to retry. A file is ingested again by rag ingest PATH --again, anything else when it is sent again.",
    queued: "in the queue already: rag job ID says why it waits.",
    processing: "at work: --status processing takes it from its worker.",
  },
  leftAnyway:
    "the document has a newer job, as rag jobs --document ID shows, or another option does not fit.",
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
