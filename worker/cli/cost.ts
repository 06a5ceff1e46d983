// rag cost: what was paid, by day, tenant and model.
import { InvalidArgumentError } from "commander";
import { z } from "zod";
import type { SqlCall } from "../document/sql-call.ts";
import { costInWords } from "../log/terminal-lines.ts";
import { type CommandContext, type DefineCommand, exitCodes, secondsIn, someOf } from "./command.ts";
import { withParts } from "./open.ts";
import { queueStats } from "./queue-stats.ts";
import { clip, table } from "./terminal.ts";
import { count } from "./words.ts";

const parts = ["day", "tenant", "model"] as const;
type Part = (typeof parts)[number];
type Options = {
  readonly json?: boolean;
  readonly by: readonly Part[];
  /** `2026-11-01`. */
  readonly since?: string;
  readonly tenant?: string;
};

const rows = z.array(
  z.object({
    day: z.string().nullable(),
    tenant_id: z.string().nullable(),
    model: z.string().nullable(),
    tokens: z.coerce.number(),
    cost_usd: z.coerce.number(),
  }),
);
type Row = z.infer<typeof rows>[number];

const LONGEST_NAME = 60;
const MOST_ROWS = 1000;

export const defineCost: DefineCommand = (command, context) => {
  command
    .addOption(someOf("--by <a,b>", "told apart by these", parts, "part").default([...parts], "all of them"))
    .option("--since <day>", "from this day on (UTC): 2026-11-01, or a time ago such as 7d", dayOf)
    .option("--tenant <id>", "only this tenant's")
    .addHelpText(
      "after",
      "\nDays are in UTC. What a replica pays is here within five seconds. RAG_DAILY_BUDGET_USD caps a day, RAG_PRICES adds prices.",
    )
    .action((options: Options) => cost(options, context));
};

async function cost(options: Options, context: CommandContext): Promise<void> {
  const { terminal } = context;
  await withParts(context, async ({ database, config }) => {
    const found = await sumCosts(database.call, options);
    if (options.json) for (const row of found) terminal.record(row);
    else {
      const header = [...options.by.map((part) => part.toUpperCase()), "TOKENS", "COST"];
      const lines = found.map((row) => [
        ...namesOf(row, options.by),
        count(row.tokens),
        wordsOf(row.cost_usd),
      ]);
      if (found.length === 0) terminal.note("Nothing was paid in this time.");
      else for (const line of table([header, ...lines])) terminal.say(line);
      if (found.length === MOST_ROWS)
        terminal.note(`The first ${MOST_ROWS}: choose with --since, --tenant or fewer parts of --by.`);
      const share = await claudeShare(database.call, options);
      if (share !== null) terminal.note(share);
      if (config.dailyBudgetUsd !== null) {
        const { today } = await queueStats(database.call);
        terminal.note(`Today: $${today.cost_usd.toFixed(2)} of $${config.dailyBudgetUsd.toFixed(2)}.`);
      }
    }
  });
  context.end(exitCodes.done);
}

async function sumCosts(call: SqlCall, { by, since, tenant }: Options): Promise<readonly Row[]> {
  const given = { p_by: by, p_since: since ?? null, p_tenant: tenant ?? null };
  return rows.parse(await call("rag_sum_costs", given));
}

/** How much of it analyses are; null where there were none. */
async function claudeShare(call: SqlCall, options: Options): Promise<string | null> {
  const models = await sumCosts(call, { ...options, by: ["model"] });
  const sum = (some: readonly Row[]) => some.reduce((all, row) => all + row.cost_usd, 0);
  const claude = models.filter(({ model }) => /(^|\/)claude-/.test(model ?? ""));
  if (claude.length === 0) return null;
  return `Claude's share: ${wordsOf(sum(claude))} of ${wordsOf(sum(models))}.`;
}

const namesOf = (row: Row, by: readonly Part[]) =>
  by.map((part) => clip((part === "tenant" ? row.tenant_id : row[part]) ?? "", LONGEST_NAME));

const wordsOf = (usd: number) => costInWords(usd) ?? "–";

function dayOf(text: string): string {
  const day = /^\d{4}-\d{2}-\d{2}$/.test(text)
    ? new Date(`${text}T00:00:00Z`)
    : new Date(Date.now() - (secondsIn(text) ?? Number.NaN) * 1000);
  // 30 February would be another day.
  const isDay = !Number.isNaN(day.getTime()) && (!text.includes("-") || day.toISOString().startsWith(text));
  if (!isDay)
    throw new InvalidArgumentError("It must be a day such as 2026-11-01, or a time ago such as 7d.");
  return day.toISOString().slice(0, 10);
}
