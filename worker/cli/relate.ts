// rag relate: how documents relate, found now, for some of them or for all.
import type { RelateFilter, RelateSummary } from "../relationships/relate-all.ts";
import { bar, openBoard } from "./board.ts";
import { type CommandContext, type DefineCommand, exitCodes } from "./command.ts";
import { configOf, withParts } from "./open.ts";
import { untilStopped } from "./stop-signals.ts";
import type { Terminal } from "./terminal.ts";
import { usage } from "./usage.ts";
import { count, counted } from "./words.ts";

type Options = {
  readonly tenant?: string;
  readonly collection?: string;
  readonly all?: boolean;
  readonly json?: boolean;
};

const WHOLE_ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

export const defineRelate: DefineCommand = (command, context) => {
  command
    .argument("[id...]", "documents by id; rag search and rag job show it")
    .option("--collection <name>", "those of this collection")
    .option("--tenant <id>", "this tenant's")
    .option("--all", "every document that serves")
    .addHelpText(
      "after",
      "\nNeeds no worker. With RAG_RELATIONSHIPS=on workers do this by themselves for whatever changes; this is for" +
        "\nwhat was there before, and after a change of RAG_REFERENCE_PATTERNS.",
    )
    .action((ids: readonly string[], options: Options) => relate(ids, options, context));
};

async function relate(ids: readonly string[], options: Options, context: CommandContext): Promise<void> {
  const { terminal } = context;
  const filter = filterOf(ids, options);
  const config = configOf();
  const board = options.json || terminal.stderr.isTTY !== true ? null : openBoard(terminal.stderr);
  const progress = (done: number, total: number) =>
    board?.show([`${bar(done, total)} ${count(done)} of ${count(total)}`]);
  await withParts(
    context,
    async ({ database: { call } }) => {
      const { relateAll } = await import("../relationships/relate-all.ts");
      const stopping = () => terminal.note("Stopping. Run it again for the rest.");
      const work = { call, patterns: config.referencePatterns, filter, progress };
      const summary = await untilStopped((signal) => relateAll(work, signal), stopping).finally(() =>
        board?.wipe(),
      );
      if (options.json) terminal.record(summary);
      else say(summary, terminal);
      const missing = ids.length - summary.documents - summary.failed.length;
      if (missing > 0) terminal.error(`${counted(missing, "document")} not found, or not ingested.`);
      if (missing > 0 || summary.failed.length > 0) context.end(exitCodes.someFailed);
    },
    config,
  );
}

/** Throws `usage.invalid` for what names no document. */
function filterOf(ids: readonly string[], { tenant, collection, all }: Options): RelateFilter {
  const wrong = ids.find((id) => !WHOLE_ID.test(id));
  if (wrong !== undefined) throw usage(`"${wrong.slice(0, 60)}" is not a document's whole id.`);
  const filter: RelateFilter = {
    ...(ids.length > 0 && { document_ids: [...new Set(ids.map((id) => id.toLowerCase()))] }),
    ...(tenant !== undefined && { tenant_id: tenant }),
    ...(collection !== undefined && { collection }),
  };
  if (Object.keys(filter).length === 0 && all !== true)
    throw usage("Say which documents: by id, by --collection or --tenant, or --all.");
  return filter;
}

function say(summary: RelateSummary, terminal: Terminal): void {
  const types = Object.entries(summary.relationships).sort(([a], [b]) => a.localeCompare(b));
  terminal.say(
    `${counted(summary.documents, "document")} related: ${counted(summary.written, "relationship")} new or changed, ${count(summary.removed)} removed.`,
  );
  for (const [type, many] of types) terminal.say(`  ${type.padEnd(22)} ${count(many)}`);
  if (summary.unresolved > 0)
    terminal.say(`  ${"not there yet".padEnd(22)} ${counted(summary.unresolved, "mention")}`);
  for (const { document_id, code, message } of summary.failed.slice(0, 20))
    terminal.note(`${document_id}  ${message} [${code}]`);
}
