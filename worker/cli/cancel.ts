// rag cancel: jobs that wait or run come to an end; what is live already stays live.
import { type Act, type ActOptions, actOnJobs } from "./act-on-jobs.ts";
import type { DefineCommand } from "./command.ts";
import { addActOptions, addFilterOptions } from "./job-filter.ts";

const cancel: Act = {
  verb: "Cancel",
  sql: "rag_cancel_jobs",
  done: "cancelled",
  would: "would_cancel",
  statuses: {
    named: ["queued", "processing"],
    filtered: ["queued", "processing"],
    all: ["queued", "processing"],
  },
  says: (jobs) => `${jobs} cancelled.`,
  left: {},
  leftAnyway: "what ended already stays so, as rag job ID shows; or another option does not fit.",
};

export const defineCancel: DefineCommand = (command, context) => {
  addActOptions(addFilterOptions(command.argument("[id...]", "jobs by id, or by its first digits")))
    .addHelpText("after", "\nA running job's worker stops at its next write, which is refused.")
    .action((ids: readonly string[], options: ActOptions) => actOnJobs(ids, options, cancel, context));
};
