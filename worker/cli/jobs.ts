// rag jobs: the list, newest first.
import { type CommandContext, type DefineCommand, exitCodes, wholeNumber } from "./command.ts";
import { addFilterOptions, type FilterOptions, filterOf } from "./job-filter.ts";
import { type JobRow, listJobs, MOST_ROWS } from "./job-row.ts";
import { withParts } from "./open.ts";
import { clip, type Style, type Terminal, table, widthOf } from "./terminal.ts";
import { ago, nameOf } from "./words.ts";

type Options = FilterOptions & { readonly json?: boolean; readonly limit: number };

export const defineJobs: DefineCommand = (command, context) => {
  addFilterOptions(command)
    .option("--limit <n>", "most jobs", wholeNumber(1, MOST_ROWS), 20)
    .action((options: Options) => jobs(options, context));
};

async function jobs(options: Options, context: CommandContext): Promise<void> {
  const { terminal } = context;
  const rows = await withParts(context, ({ database }) =>
    listJobs(database.call, filterOf(options), options.limit),
  );
  if (options.json) for (const row of rows) terminal.record(row);
  else if (rows.length === 0) terminal.note("No job fits.");
  else printJobs(rows, terminal);
  context.end(exitCodes.done);
}

function printJobs(rows: readonly JobRow[], terminal: Terminal): void {
  const { style } = terminal;
  const header = ["JOB", "STATUS", "AGE", "CHUNKS", "DOCUMENT"].map((word) => style("dim", word));
  const lines = rows.map((row) => [
    row.id.slice(0, 8),
    style(colourOf(row), row.stage === null ? row.status : `${row.status}: ${row.stage}`),
    ago((Date.now() - row.submitted_at.getTime()) / 1000),
    row.total_chunks === null ? String(row.processed_chunks) : `${row.processed_chunks}/${row.total_chunks}`,
    clip(row.kind === "document" ? nameOf(row.title, row.source_uri) : row.kind, 40),
  ]);
  // What is left of the terminal's width is for the remark; a pipe has no width.
  const [first = ""] = table([...lines.map((line) => [...line, "|"]), ["", "", "", "", "", "|"]]).slice(-1);
  const room = terminal.stdout.isTTY === true ? widthOf(terminal.stdout) - first.length : LONGEST_REMARK;
  const remarks = rows.map((row) => clip(remarkOn(row), Math.max(SHORTEST_REMARK, room)));
  const whole = [[...header, ""], ...lines.map((line, at) => [...line, remarks[at] ?? ""])];
  for (const line of table(whole)) terminal.say(line);
}

const SHORTEST_REMARK = 30;
const LONGEST_REMARK = 300;

// Why it waits says the error too, where that is the reason.
function remarkOn(row: JobRow): string {
  if (row.waits_for !== null) return `waits for ${row.waits_for}`;
  return row.error_code === null ? "" : `${row.error_code}: ${row.error_detail ?? ""}`;
}

function colourOf(row: JobRow): Style {
  if (row.status === "failed") return "red";
  if (row.status === "complete") return "green";
  return row.status === "processing" ? "cyan" : "dim";
}
