// The options by which jobs are chosen, the same for rag jobs, rag retry and rag cancel.
import { type Command, InvalidArgumentError, Option } from "commander";
import { commaList } from "./command.ts";
import { type JobFilter, type JobStatus, jobStatuses } from "./job-row.ts";

export type FilterOptions = {
  readonly status?: readonly JobStatus[];
  readonly tenant?: string;
  readonly collection?: string;
  readonly kind?: string;
  readonly code?: string;
};

export function addFilterOptions(command: Command): Command {
  return command
    .option("--status <a,b>", `only with one of these statuses: ${jobStatuses.join(", ")}`, statuses)
    .option("--tenant <id>", "only this tenant's")
    .option("--collection <name>", "only documents of this collection")
    .addOption(
      new Option("--kind <kind>", "only jobs of this kind").choices(["document", "relationships", "sync"]),
    )
    .option("--code <code>", "only with this error code, such as embed.unavailable");
}

export function filterOf(options: FilterOptions): JobFilter {
  return {
    ...(options.status !== undefined && { status: options.status }),
    ...(options.tenant !== undefined && { tenant_id: options.tenant }),
    ...(options.collection !== undefined && { collection: options.collection }),
    ...(options.kind !== undefined && { kind: options.kind }),
    ...(options.code !== undefined && { error_code: options.code }),
  };
}

function statuses(text: string): readonly JobStatus[] {
  return commaList(text).map((item) => {
    const status = jobStatuses.find((known) => known === item);
    if (status === undefined) throw new InvalidArgumentError(`There is no status "${item}".`);
    return status;
  });
}
