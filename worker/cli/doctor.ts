// rag doctor: everything that can be wrong, looked at once, each with what to do about it.
// One check's failure is its finding; the others still run.
import { openParts } from "../assemble.ts";
import { type CommandContext, type DefineCommand, exitCodes } from "./command.ts";
import { checkAnalyst } from "./doctor/check-analyst.ts";
import { checkDatabase, type Described, explainTransport } from "./doctor/check-database.ts";
import { checkMachine } from "./doctor/check-machine.ts";
import { checkProvider, checkStorage } from "./doctor/check-provider.ts";
import { attempt, type Colour, type Finding } from "./doctor/finding.ts";
import { environmentOfRun, redactorOfRun } from "./environment.ts";
import { configOf, quietLog } from "./open.ts";
import type { Style, Terminal } from "./terminal.ts";

export const defineDoctor: DefineCommand = (command, context) => {
  command.action((options: { readonly json?: boolean }) => doctor(options.json === true, context));
};

async function doctor(json: boolean, context: CommandContext): Promise<void> {
  const { terminal } = context;
  const counts: Record<Colour, number> = { green: 0, yellow: 0, red: 0 };
  const redact = redactorOfRun();
  // Told as they come: a check that waits for a dead server should not hide the others.
  for await (const found of examine(context)) {
    const finding = { ...found, says: redact(found.says), advice: found.advice && redact(found.advice) };
    counts[finding.status] += 1;
    if (json) terminal.record(finding);
    else printFinding(finding, terminal);
  }
  if (!json) terminal.say(verdictOf(counts));
  context.end(counts.red > 0 ? exitCodes.unusable : exitCodes.done);
}

async function* examine(context: CommandContext): AsyncIterable<Finding> {
  const config = configOf();
  yield* await checkMachine(config, environmentOfRun());
  yield explainTransport(config);
  const parts = await openParts(config, quietLog(context, config)).catch((thrown: unknown) => ({ thrown }));
  if ("thrown" in parts) {
    yield* await attempt("database", () => Promise.reject(parts.thrown));
    return;
  }
  try {
    let stored: Described | null = null;
    yield* await checkDatabase(parts, (described) => {
      stored = described;
    });
    yield* await checkProvider(parts, stored);
    yield* await checkAnalyst(parts);
    yield* await checkStorage(parts);
  } finally {
    await parts.close();
  }
}

const marks: Readonly<Record<Colour, string>> = { green: "ok  ", yellow: "warn", red: "FAIL" };

function printFinding({ check, status, says, advice }: Finding, { say, style }: Terminal): void {
  const colour: Style = status;
  say(`${style(colour, marks[status])}  ${check.padEnd(14)}${says}`);
  if (advice !== null) say(`      ${" ".repeat(14)}${style("bold", advice)}`);
}

function verdictOf(counts: Readonly<Record<Colour, number>>): string {
  if (counts.red > 0) return `\n${counts.red} to put right before the worker can work.`;
  return counts.yellow > 0 ? `\nThe worker can work; ${counts.yellow} to look at.` : "\nAll is well.";
}
