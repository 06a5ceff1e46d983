// rag logs JOB: what happened to one job, from the activity log; --follow stays until the job has ended.
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import type { SqlCall } from "../document/sql-call.ts";
import { costInWords } from "../log/terminal-lines.ts";
import { type CommandContext, type DefineCommand, exitCodes } from "./command.ts";
import { hasEnded, listJobs, resolveJobIds } from "./job-row.ts";
import { withParts } from "./open.ts";
import { untilStopped } from "./stop-signals.ts";
import { clip, type Style, type Terminal } from "./terminal.ts";
import { ago, count, counted } from "./words.ts";

const entry = z.looseObject({
  log_id: z.string(),
  at: z.coerce.date(),
  type: z.string(),
  status: z.enum(["success", "warning", "error"]),
  code: z.string().nullable(),
  detail: z.string().nullable(),
  duration_ms: z.number().nullable(),
  tokens: z.number().nullable(),
  metadata: z.record(z.string(), z.unknown()).nullable(),
});
type Entry = z.infer<typeof entry>;
const entries = z.array(entry);

const PAGE = 1000;
const LOOK_MS = 1000;
// Entries are written within a second of what they tell of; the last ones of a job come after its end.
const AFTER_END_MS = 2500;

type Options = { readonly json?: boolean; readonly follow?: boolean };

export const defineLogs: DefineCommand = (command, context) => {
  command
    .argument("<id>", "the job's id, or its first digits as rag jobs and the logs show them")
    .option("-f, --follow", "stay and tell what happens until the job has ended")
    .action((id: string, options: Options) => logs(id, options, context));
};

async function logs(typed: string, options: Options, context: CommandContext): Promise<void> {
  const { terminal } = context;
  const tell = (one: Entry) => (options.json ? terminal.record(one) : terminal.say(lineOf(one, terminal)));
  const met = await withParts(context, async ({ database }) => {
    const { ids } = await resolveJobIds(database.call, [typed]);
    const [id] = ids;
    if (id === undefined) return null;
    if (!options.follow) return (await readFrom(database.call, id, null, tell)).told;
    return await untilStopped(
      (signal) => follow(database.call, id, tell, signal),
      () => {},
    );
  });
  if (met === null) {
    const says = `No job has the id ${clip(typed, 40)}. rag jobs lists them.`;
    terminal.error(says);
    if (options.json) terminal.record({ error: { code: "job.unknown", message: says } });
  } else if (met === 0 && !options.json) {
    terminal.note("Nothing is known of this job: no worker has taken it, or what it did has been dropped.");
  }
  context.end(met === null ? exitCodes.someFailed : exitCodes.done);
}

/** Tells what came after `after`; answers the last entry's id and how many were told. */
async function readFrom(call: SqlCall, id: string, after: string | null, tell: (one: Entry) => void) {
  let last = after;
  let told = 0;
  for (;;) {
    const answer = await call("rag_read_activity", { p_job_id: id, p_after: last, p_limit: PAGE });
    // A job that was pruned between two looks has nothing more to tell.
    const page = entries.parse(answer ?? []);
    for (const one of page) tell(one);
    last = page.at(-1)?.log_id ?? last;
    told += page.length;
    if (page.length < PAGE) return { last, told };
  }
}

async function follow(call: SqlCall, id: string, tell: (one: Entry) => void, signal: AbortSignal) {
  let last: string | null = null;
  let told = 0;
  let endedAt: number | null = null;
  while (!signal.aborted) {
    const [row] = await listJobs(call, { job_ids: [id] }, 1);
    if (row === undefined || hasEnded(row)) endedAt ??= performance.now();
    else endedAt = null;
    const read = await readFrom(call, id, last, tell);
    last = read.last;
    told += read.told;
    if (endedAt !== null && performance.now() - endedAt > AFTER_END_MS) break;
    await sleep(LOOK_MS, undefined, { signal }).catch(() => {}); // Stopped: the loop ends.
  }
  return told;
}

const colours: Readonly<Record<Entry["status"], Style>> = {
  success: "green",
  warning: "yellow",
  error: "red",
};

function lineOf(one: Entry, { style }: Terminal): string {
  const facts = [
    one.code,
    one.detail === null ? null : clip(one.detail, 300),
    one.duration_ms === null ? null : `after ${ago(one.duration_ms / 1000)}`,
    ...figuresOf(one),
    typeof one.metadata?.worker_id === "string" ? style("dim", clip(one.metadata.worker_id, 60)) : null,
  ].filter((fact) => fact !== null);
  return `${style("dim", one.at.toISOString())}  ${style(colours[one.status], one.type)}  ${facts.join("  ")}`.trimEnd();
}

function figuresOf({ tokens, metadata }: Entry): (string | null)[] {
  const number = (name: string) => (typeof metadata?.[name] === "number" ? metadata[name] : null);
  const [attempt, chunks, reused, delay, cost] = [
    number("attempt"),
    number("chunks"),
    number("reused"),
    number("delay_ms"),
    number("cost_usd"),
  ];
  return [
    attempt === null ? null : `try ${attempt}`,
    chunks === null ? null : `${counted(chunks, "chunk")}${reused ? `, ${count(reused)} reused` : ""}`,
    tokens === null || tokens === 0 ? null : counted(tokens, "token"),
    cost === null ? null : costInWords(cost),
    delay === null ? null : `again in ${ago(delay / 1000)}`,
  ];
}
