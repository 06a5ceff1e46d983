// rag pause and rag resume: whether jobs of all, of a kind or of a tenant may be claimed. Those at work go on.
import { userInfo } from "node:os";
import { Option } from "commander";
import { z } from "zod";
import type { SqlCall } from "../document/sql-call.ts";
import type { QueueFigures } from "../status/queue-figures.ts";
import { type CommandContext, type DefineCommand, exitCodes } from "./command.ts";
import { confirm } from "./confirm.ts";
import { jobKinds } from "./job-filter.ts";
import { withParts } from "./open.ts";
import { queueStats } from "./queue-stats.ts";
import { clip } from "./terminal.ts";
import { wakeWorkers } from "./wake-workers.ts";
import { ago, counted } from "./words.ts";

type Options = {
  readonly kind?: string;
  readonly tenant?: string;
  readonly reason?: string;
  readonly json?: boolean;
  readonly yes?: boolean;
};

type Scope = { readonly p_scope: "all" | "kind" | "tenant"; readonly p_name: string };

const addScopeOptions: DefineCommand = (command) => {
  command
    .addOption(new Option("--kind <kind>", "only jobs of this kind").choices(jobKinds).conflicts("tenant"))
    .option("--tenant <id>", "only this tenant's jobs")
    .option("--yes", "do not ask");
};

export const definePause: DefineCommand = (command, context) => {
  addScopeOptions(command, context);
  command
    .option("--reason <text>", "why, for whoever wonders what jobs wait for")
    .addHelpText(
      "after",
      "\nWithout --kind or --tenant nothing is claimed any more. rag status shows what is paused.",
    )
    .action((options: Options) => pause(options, context));
};

export const defineResume: DefineCommand = (command, context) => {
  addScopeOptions(command, context);
  command
    .addHelpText(
      "after",
      "\nWithout --kind or --tenant it ends the pause of all jobs; pauses of kinds and tenants stay.",
    )
    .action((options: Options) => resume(options, context));
};

async function pause(options: Options, context: CommandContext): Promise<void> {
  const { terminal } = context;
  const scope = scopeOf(options);
  await withParts(context, async ({ database: { call } }) => {
    const waiting = await countWaiting(call, options);
    const question = `Pause ${nameOf(scope)} (${counted(waiting, "job")} waiting; those at work go on)?`;
    if (!(await confirm(question, options.yes === true, terminal))) return;
    const answer = z.object({ was_paused: z.boolean() });
    const reason = [options.reason?.trim(), `by ${operator()}`].filter(Boolean).join(", ");
    const { was_paused } = answer.parse(await call("rag_pause_jobs", { ...scope, p_reason: reason }));
    if (options.json)
      terminal.record({ scope: scope.p_scope, name: scope.p_name, was_paused, waiting, reason });
    else
      terminal.say(
        was_paused
          ? `It was paused already; the reason is now: ${clip(reason, 200)}`
          : `Paused ${nameOf(scope)}: ${counted(waiting, "job")} waiting. End it with: ${endOf(scope)}`,
      );
  });
  context.end(exitCodes.done);
}

async function resume(options: Options, context: CommandContext): Promise<void> {
  const { terminal } = context;
  const scope = scopeOf(options);
  await withParts(context, async (parts) => {
    const { call } = parts.database;
    const { paused } = await queueStats(call);
    const isMeant = (one: QueueFigures["paused"][number]) =>
      one.scope === scope.p_scope && one.name === scope.p_name;
    const waiting = await countWaiting(call, options);
    const question = `Resume ${nameOf(scope)} (${counted(waiting, "job")} waiting)?`;
    if (paused.some(isMeant) && !(await confirm(question, options.yes === true, terminal))) return;
    const { resumed } = z.object({ resumed: z.number() }).parse(await call("rag_resume_jobs", scope));
    if (options.json) terminal.record({ scope: scope.p_scope, name: scope.p_name, resumed, waiting });
    else if (resumed > 0) terminal.say(`Resumed ${nameOf(scope)}: ${counted(waiting, "job")} waiting.`);
    for (const one of paused.filter((other) => !isMeant(other)))
      terminal.note(`Still paused: ${pauseInWords(one)}`);
    if (resumed > 0) return await wakeWorkers(parts);
    terminal.error(`There is no pause of ${nameOf(scope)}.`);
    context.end(exitCodes.someFailed);
  });
}

/** `tenant acme for 2 h: moving house` and how to end it. */
export function pauseInWords(one: QueueFigures["paused"][number]): string {
  const scope: Scope = { p_scope: one.scope, p_name: one.name };
  const reason = one.reason === null ? "" : `: ${clip(one.reason, 200)}`;
  return `${nameOf(scope)} for ${ago((Date.now() - one.paused_at.getTime()) / 1000)}${reason}  (${endOf(scope)})`;
}

const scopeOf = ({ kind, tenant }: Options): Scope =>
  kind !== undefined
    ? { p_scope: "kind", p_name: kind }
    : tenant !== undefined
      ? { p_scope: "tenant", p_name: tenant }
      : { p_scope: "all", p_name: "" };

const nameOf = ({ p_scope, p_name }: Scope): string =>
  p_scope === "all" ? "all jobs" : `${p_scope} ${clip(p_name, 60)}`;

const endOf = ({ p_scope, p_name }: Scope): string =>
  p_scope === "all" ? "rag resume" : `rag resume --${p_scope} ${clip(p_name, 60)}`;

// A dry run of cancelling counts exactly the queued jobs that a filter means.
async function countWaiting(call: SqlCall, { kind, tenant }: Options): Promise<number> {
  const filter = {
    status: ["queued"],
    ...(kind !== undefined && { kind }),
    ...(tenant !== undefined && { tenant_id: tenant }),
  };
  const answer = await call("rag_cancel_jobs", { p_filter: filter, p_dry_run: true });
  return z.object({ would_cancel: z.number() }).parse(answer).would_cancel;
}

function operator(): string {
  try {
    return userInfo().username;
  } catch {
    return "an operator"; // Containers run under numbers that have no name.
  }
}
