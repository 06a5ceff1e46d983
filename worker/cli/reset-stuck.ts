// rag reset-stuck: jobs back into the queue whose worker is gone. Workers do this for each other; this is for the
// day on which none is left, and as safe: a slow worker that comes back changes nothing.
import { z } from "zod";
import type { SqlCall } from "../document/sql-call.ts";
import { type CommandContext, type DefineCommand, durationSeconds, exitCodes } from "./command.ts";
import { confirm } from "./confirm.ts";
import { addActOptions } from "./job-filter.ts";
import { MOST_ROWS } from "./job-row.ts";
import { withParts } from "./open.ts";
import { clip, type Terminal, table } from "./terminal.ts";
import { wakeWorkers } from "./wake-workers.ts";
import { ago, counted } from "./words.ts";

type Options = {
  readonly olderThan: number;
  readonly json?: boolean;
  readonly yes?: boolean;
  readonly dryRun?: boolean;
};

const stuckJob = z.object({
  id: z.string(),
  document_id: z.string().nullable(),
  attempts: z.number(),
  max_attempts: z.number(),
  was_held_by: z.string().nullable(),
  silent_since: z.coerce.date(),
});
type StuckJob = z.infer<typeof stuckJob>;

const USUAL_SECONDS = 600;
// A thousand times a thousand: a bound, not a wish.
const MOST_CALLS = 1_000;
const MOST_SHOWN = 20;

export const defineResetStuck: DefineCommand = (command, context) => {
  addActOptions(command)
    .option(
      "--older-than <time>",
      "untouched for so long, 3m at least; a healthy job is touched every two minutes",
      durationSeconds,
      USUAL_SECONDS,
    )
    .addHelpText(
      "after",
      "\nThe usual time is 10m. A job whose lease has run out and whose worker gives no sign of life is stuck at once.",
    )
    .action((options: Options) => resetStuck(options, context));
};

async function resetStuck(options: Options, context: CommandContext): Promise<void> {
  const { terminal } = context;
  await withParts(context, async (parts) => {
    const { call } = parts.database;
    const found = await reset(call, options.olderThan, true);
    if (found.length > 0 && !options.json) printStuck(found, terminal);
    if (options.dryRun) {
      if (options.json) terminal.record({ would_reset: found.length, jobs: found });
      else terminal.say(found.length === 0 ? "No job is stuck." : "Nothing was changed.");
      return;
    }
    if (found.length === 0) {
      if (options.json) terminal.record({ reset: 0 });
      else terminal.say("No job is stuck.");
      return;
    }
    const many = found.length >= MOST_ROWS ? `${MOST_ROWS} jobs or more` : counted(found.length, "job");
    const sure = await confirm(`Put ${many} back into the queue?`, options.yes === true, terminal);
    const done = sure ? await resetAll(call, options.olderThan) : 0;
    if (done > 0) await wakeWorkers(parts);
    if (options.json) terminal.record({ reset: done });
    else terminal.say(`${counted(done, "job")} back in the queue.`);
  });
  context.end(exitCodes.done);
}

async function resetAll(call: SqlCall, olderThan: number): Promise<number> {
  let done = 0;
  for (let calls = 0; calls < MOST_CALLS; calls += 1) {
    const step = await reset(call, olderThan, false);
    done += step.length;
    if (step.length < MOST_ROWS) break;
  }
  return done;
}

async function reset(call: SqlCall, olderThan: number, dryRun: boolean): Promise<readonly StuckJob[]> {
  const answer = await call("rag_reset_stuck", { p_older_than_seconds: olderThan, p_dry_run: dryRun });
  return z.array(stuckJob).parse(answer);
}

function printStuck(jobs: readonly StuckJob[], { say, style }: Terminal): void {
  const header = ["JOB", "SILENT FOR", "TRIES", "HELD BY"].map((word) => style("dim", word));
  const rows = jobs
    .slice(0, MOST_SHOWN)
    .map((job) => [
      job.id.slice(0, 8),
      ago((Date.now() - job.silent_since.getTime()) / 1000),
      `${job.attempts}/${job.max_attempts}`,
      clip(job.was_held_by ?? "", 60),
    ]);
  for (const line of table([header, ...rows])) say(line);
  if (jobs.length > MOST_SHOWN) say(`and ${counted(jobs.length - MOST_SHOWN, "more", "more")}`);
}
