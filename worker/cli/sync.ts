// rag sync: looks through what is stored, says what is wrong and what its repair would do, and repairs it when asked.
import { findings as catalogue, type Finding } from "../integrity/findings.ts";
import type { Repaired, SyncSummary, SyncType } from "../integrity/sync.ts";
import { openBoard } from "./board.ts";
import { type CommandContext, type DefineCommand, exitCodes } from "./command.ts";
import { configOf, withParts } from "./open.ts";
import { untilStopped } from "./stop-signals.ts";
import type { Terminal } from "./terminal.ts";
import { usage } from "./usage.ts";
import { wakeWorkers } from "./wake-workers.ts";
import { count, counted } from "./words.ts";

type Options = {
  readonly full?: boolean;
  readonly conflicts?: boolean;
  readonly validate?: boolean;
  readonly repair?: boolean;
  readonly json?: boolean;
};

const WHOLE_ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
// Lines of one code; the others are counted.
const MOST_SHOWN = 10;

export const defineSync: DefineCommand = (command, context) => {
  command
    .argument("[id...]", "only these documents")
    .option(
      "--full",
      "everything: database, document root and Storage bucket (this is what it does without ids)",
    )
    .option("--validate", "the same")
    .option("--conflicts", "only documents that are of one source")
    .option("--repair", "repair what is found; without it nothing is changed")
    .addHelpText(
      "after",
      "\nSafe beside working replicas: a document that has a job is left to it. Every repair is written to the" +
        "\nactivity log. Exit code 0: nothing is wrong, or all of it was repaired; 1: something is left.",
    )
    .action((ids: readonly string[], options: Options) => sync(ids, options, context));
};

async function sync(ids: readonly string[], options: Options, context: CommandContext): Promise<void> {
  const { terminal } = context;
  const type = typeOf(ids, options);
  const config = configOf();
  const board = options.json || terminal.stderr.isTTY !== true ? null : openBoard(terminal.stderr);
  const report = options.json ? jsonReport(terminal) : readableReport(terminal, () => board?.wipe());
  await withParts(
    context,
    async (parts) => {
      const { runSync } = await import("../integrity/sync.ts");
      const { originsOfSync } = await import("../derived-options.ts");
      const request = {
        type,
        documentIds: ids.length > 0 ? ids.map((id) => id.toLowerCase()) : null,
        repair: options.repair === true,
        keepOriginals: config.keepOriginals,
      };
      const progress = (lookedAt: number) => board?.show([`looked at ${counted(lookedAt, "item")}`]);
      const work = (signal: AbortSignal) =>
        runSync(parts.database.call, originsOfSync(config), request, { ...report, progress }, signal);
      const summary = await untilStopped(work, () =>
        terminal.note("Stopping. What was repaired stays so."),
      ).finally(() => board?.wipe());
      if (summary.repaired > 0) await wakeWorkers(parts);
      report.end(summary, request.repair);
      if (summary.findings > summary.repaired) context.end(exitCodes.someFailed);
    },
    config,
  );
}

/** Throws `usage.invalid` for what contradicts itself. */
function typeOf(ids: readonly string[], { full, conflicts, validate }: Options): SyncType {
  const wrong = ids.find((id) => !WHOLE_ID.test(id));
  if (wrong !== undefined) throw usage(`"${wrong.slice(0, 60)}" is not a document's whole id.`);
  if ([full, conflicts, validate].filter(Boolean).length > 1)
    throw usage("Say one of --full, --validate and --conflicts.");
  if (ids.length > 0 && full) throw usage("--full is about everything: leave out the ids.");
  if (conflicts) return "conflict_resolution";
  if (validate) return "data_validation";
  return ids.length > 0 ? "incremental_sync" : "full_sync";
}

type SyncReport = {
  readonly found: (finding: Finding) => void;
  readonly repaired: (repaired: Repaired) => void;
  readonly end: (summary: SyncSummary, repairs: boolean) => void;
};

const jsonReport = (terminal: Terminal): SyncReport => ({
  found: (finding) => terminal.record({ finding: { ...finding, ...catalogue[finding.code] } }),
  repaired: (repaired) => terminal.record({ repaired }),
  end: ({ type, lookedAt, findings, byCode, repaired, skipped, heldBack }) =>
    terminal.record({
      type,
      looked_at: lookedAt,
      findings,
      by_code: byCode,
      repaired,
      skipped,
      held_back: heldBack,
      clean: findings === 0,
    }),
});

function readableReport(terminal: Terminal, wipe: () => void): SyncReport {
  const shown = new Map<string, number>();
  const { say, style } = terminal;
  return {
    found({ code, subject, detail }) {
      wipe();
      const times = (shown.get(code) ?? 0) + 1;
      shown.set(code, times);
      if (times === 1) {
        say(`${style("bold", code)}  ${catalogue[code].says}`);
        say(style("dim", `  repair: ${catalogue[code].repair}`));
      }
      if (times <= MOST_SHOWN) say(`  ${subject.replaceAll("\u001f", "  ")}  ${inWords(detail)}`);
    },
    repaired({ code, subject, action }) {
      wipe();
      if ((shown.get(code) ?? 0) <= MOST_SHOWN)
        say(`  ${style("green", "repaired")}  ${code}  ${subject.replaceAll("\u001f", "  ")}: ${action}`);
    },
    end({ lookedAt, findings, byCode, repaired, skipped, heldBack }, repairs) {
      if (findings === 0) {
        say(`Clean. ${counted(lookedAt, "item")} looked at.`);
        return;
      }
      for (const [code, times] of Object.entries(byCode))
        if (times > MOST_SHOWN) say(`${code}: ${count(times)} in all`);
      if (!repairs) {
        say(`${counted(findings, "finding")}. Nothing was changed; --repair repairs them.`);
        return;
      }
      say(
        `${counted(findings, "finding")}, ${count(repaired)} repaired, ${count(skipped)} left for another time.`,
      );
      if (heldBack > 0)
        say(
          `${counted(heldBack, "document")} kept although their originals are gone: they are more than half. Is the volume mounted, the bucket the right one?`,
        );
    },
  };
}

const inWords = (detail: Finding["detail"]): string =>
  Object.entries(detail)
    .map(([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`)
    .join(" ");
