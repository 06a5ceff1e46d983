// The options by which jobs are chosen, the same for every command that lists jobs or acts on them.
import { type Command, Option } from "commander";
import { documentId, durationSeconds, someOf } from "./command.ts";
import { type JobFilter, type JobStatus, jobStatuses, type WaitReason, waitReasons } from "./job-row.ts";

export type FilterOptions = {
  readonly status?: readonly JobStatus[];
  readonly tenant?: string;
  readonly collection?: string;
  readonly kind?: string;
  readonly code?: string;
  readonly worker?: string;
  readonly document?: string;
  readonly waits?: readonly WaitReason[];
  /** Seconds. */
  readonly olderThan?: number;
};

export const jobKinds = ["document", "reembed", "relationships", "sync"] as const;

/** For the sentence that asks for one of them. */
export const filterWords =
  "--status, --tenant, --collection, --kind, --code, --worker, --document, --waits or --older-than";

export function addFilterOptions(command: Command): Command {
  return command
    .addOption(someOf("--status <a,b>", "only with one of these statuses", jobStatuses, "status"))
    .option("--tenant <id>", "only this tenant's")
    .option("--collection <name>", "only documents of this collection")
    .addOption(new Option("--kind <kind>", "only jobs of this kind").choices(jobKinds))
    .option("--code <code>", "only with this error code, such as embed.unavailable")
    .option("--worker <id>", "only those that this worker has or had")
    .option("--document <id>", "only this document's", documentId)
    .addOption(
      someOf("--waits <a,b>", "only queued ones that wait for one of these", waitReasons, "reason to wait"),
    )
    .option(
      "--older-than <time>",
      "only those untouched for so long, such as 90s, 15m, 2h or 30d",
      durationSeconds,
    );
}

/** For commands that change jobs. */
export function addActOptions(command: Command): Command {
  return command.option("--dry-run", "only count them").option("--yes", "do not ask");
}

export function filterOf(options: FilterOptions): JobFilter {
  return {
    ...(options.status !== undefined && { status: options.status }),
    ...(options.tenant !== undefined && { tenant_id: options.tenant }),
    ...(options.collection !== undefined && { collection: options.collection }),
    ...(options.kind !== undefined && { kind: options.kind }),
    ...(options.code !== undefined && { error_code: options.code }),
    ...(options.worker !== undefined && { worker_id: options.worker }),
    ...(options.document !== undefined && { document_ids: [options.document] }),
    ...(options.waits !== undefined && { waits_for: options.waits }),
    ...(options.olderThan !== undefined && { older_than_seconds: options.olderThan }),
  };
}
