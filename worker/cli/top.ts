// rag top: the queue as it works, drawn again every second until q or Ctrl-C; once where nobody watches.
import { setTimeout as sleep } from "node:timers/promises";
import type { SqlCall } from "../document/sql-call.ts";
import type { QueueFigures } from "../status/queue-figures.ts";
import { bar } from "./board.ts";
import { type CommandContext, type DefineCommand, exitCodes, numberWithin } from "./command.ts";
import { type JobRow, listJobs } from "./job-row.ts";
import { withParts } from "./open.ts";
import { pauseInWords } from "./pause.ts";
import { queueStats } from "./queue-stats.ts";
import { untilStopped } from "./stop-signals.ts";
import { clip, cut, type Terminal, table, widthOf } from "./terminal.ts";
import { ago, count, counted, nameOf } from "./words.ts";

type Options = { readonly json?: boolean; readonly interval: number; readonly once?: boolean };

type Look = {
  readonly stats: QueueFigures;
  readonly atWork: readonly JobRow[];
  readonly failed: readonly JobRow[];
};

/** Jobs that became complete a second between two looks; null at the first, and where nobody knows. */
type Rate = number | null;

const MOST_AT_WORK = 200;
const MOST_FAILED = 5;
const ALTERNATE_SCREEN = "\u001b[?1049h\u001b[?25l";
const NORMAL_SCREEN = "\u001b[?25h\u001b[?1049l";
const HOME = "\u001b[H";
const CLEAR_LINE = "\u001b[K";
const CLEAR_BELOW = "\u001b[0J";
const ROWS_WITHOUT_TERMINAL = 40;
const DAY_SECONDS = 86_400;

export const defineTop: DefineCommand = (command, context) => {
  command
    .option("--interval <seconds>", "time between two looks", numberWithin(0.2, 3600), 1)
    .option("--once", "one look; also where stdout is no terminal, unless --json")
    .action((options: Options) => top(options, context));
};

async function top(options: Options, context: CommandContext): Promise<void> {
  const { terminal } = context;
  await withParts(context, async ({ database }) => {
    const watched = terminal.stdout.isTTY === true && !options.json;
    if (options.once || (!watched && !options.json)) {
      const look = await lookAt(database.call);
      if (options.json) terminal.record(recordOf(look));
      else for (const line of linesOf(look, null, "", terminal)) terminal.say(line);
      return;
    }
    await untilStopped(
      (signal) =>
        watched
          ? onScreen(terminal, signal, (stop) => watch(database.call, options, terminal, stop))
          : repeat(database.call, options, signal, (look) => terminal.record(recordOf(look))),
      () => {},
    );
  });
  context.end(exitCodes.done);
}

const recordOf = ({ stats, atWork, failed }: Look) => ({ at: new Date(), ...stats, jobs: atWork, failed });

async function lookAt(call: SqlCall): Promise<Look> {
  const [stats, atWork, failed] = await Promise.all([
    queueStats(call),
    listJobs(call, { status: ["processing"] }, MOST_AT_WORK),
    listJobs(call, { status: ["failed"] }, MOST_FAILED),
  ]);
  return { stats, atWork, failed };
}

async function repeat(
  call: SqlCall,
  { interval }: Options,
  signal: AbortSignal,
  see: (look: Look) => void,
): Promise<void> {
  while (!signal.aborted) {
    see(await lookAt(call));
    await sleep(interval * 1000, undefined, { signal }).catch(() => {}); // Stopped: the loop ends.
  }
}

async function watch(call: SqlCall, options: Options, terminal: Terminal, signal: AbortSignal) {
  const { stdout } = terminal;
  let before: { readonly complete: number; readonly at: number } | null = null;
  await repeat(call, options, signal, (look) => {
    const now = { complete: look.stats.last_day.complete, at: performance.now() };
    // On a day with more jobs than are counted, the newest push the oldest out of the count.
    const isWhole = look.stats.last_day.seconds >= DAY_SECONDS;
    const rate =
      before && isWhole ? Math.max(0, now.complete - before.complete) / ((now.at - before.at) / 1000) : null;
    before = now;
    const rows = (process.stdout.rows ?? ROWS_WITHOUT_TERMINAL) - 1;
    const lines = linesOf(look, rate, "  q quits", terminal).slice(0, rows);
    stdout.write(`${HOME}${lines.map((line) => `${line}${CLEAR_LINE}\n`).join("")}${CLEAR_BELOW}`);
  });
}

/** The alternate screen and single keys, put back however it ends; q stops as Ctrl-C does. */
async function onScreen(
  { stdout, stdin }: Terminal,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const quit = new AbortController();
  const onKey = (key: Buffer) => {
    if (["q", "Q", "\u0003", "\u001b"].includes(key.toString())) quit.abort();
  };
  const keys = stdin.isTTY === true;
  if (keys) stdin.setRawMode(true).on("data", onKey).resume();
  stdout.write(ALTERNATE_SCREEN);
  try {
    await work(AbortSignal.any([signal, quit.signal]));
  } finally {
    stdout.write(NORMAL_SCREEN);
    if (keys) stdin.setRawMode(false).off("data", onKey).pause();
  }
}

function linesOf({ stats, atWork, failed }: Look, rate: Rate, keys: string, terminal: Terminal): string[] {
  const { style } = terminal;
  const width = widthOf(terminal.stdout);
  const day = stats.last_day;
  const lines = [
    style("bold", "rag top") + style("dim", `  ${new Date().toISOString().slice(0, 19)}Z${keys}`),
    `${count(stats.queued)}${stats.capped ? "+" : ""} waiting  ${count(stats.processing)} at work  ${counted(stats.workers.length, "worker")}  ${rateInWords(rate, stats)}`,
    `${count(day.complete)} complete  ${day.failed > 0 ? style("red", `${count(day.failed)} failed`) : "0 failed"}  ${counted(day.chunks, "chunk")}  ${counted(day.tokens, "token")}  (last ${ago(day.seconds)})`,
    ...stats.paused.map((one) => style("yellow", `paused: ${clip(pauseInWords(one), width - 10)}`)),
    ...(stats.oldest_queued_seconds === null
      ? []
      : [`the oldest has waited ${ago(stats.oldest_queued_seconds)}`]),
    "",
  ];
  const header = ["JOB", "STAGE", "PROGRESS", "CHUNKS", "TRY", "DOCUMENT"].map((word) => style("dim", word));
  const rows = atWork.map((row) => [
    row.id.slice(0, 8),
    style("cyan", row.stage ?? row.status),
    bar(row.processed_chunks, row.total_chunks),
    row.total_chunks === null ? count(row.processed_chunks) : `${row.processed_chunks}/${row.total_chunks}`,
    `${row.attempts}/${row.max_attempts}`,
    clip(row.kind === "document" ? nameOf(row.title, row.source_uri) : row.kind, 60),
  ]);
  const failures = failed.map((row) => [
    row.id.slice(0, 8),
    style("red", row.error_code ?? "failed"),
    clip(row.error_detail ?? "", 120),
  ]);
  return [
    ...lines,
    ...(rows.length === 0 ? [style("dim", "No job is at work.")] : table([header, ...rows])),
    ...(failures.length === 0 ? [] : ["", style("dim", "LAST FAILURES"), ...table(failures)]),
  ].map((line) => (terminal.stdout.isTTY === true ? line : cut(line, width)));
}

function rateInWords(rate: Rate, { last_hour_complete }: QueueFigures): string {
  if (rate !== null) return `${rate.toFixed(1)} jobs/s`;
  return last_hour_complete === null ? "" : `${count(last_hour_complete)} in the last hour`;
}
