// rag status: the queue in a few lines, the same figures as /health and /metrics.
import { costInWords } from "../log/terminal-lines.ts";
import { judgeHorizon } from "../status/horizon.ts";
import type { QueueFigures } from "../status/queue-figures.ts";
import { type CommandContext, type DefineCommand, exitCodes } from "./command.ts";
import { type WaitReason, waitReasons } from "./job-row.ts";
import { withParts } from "./open.ts";
import { pauseInWords } from "./pause.ts";
import { queueStats } from "./queue-stats.ts";
import { clip, table } from "./terminal.ts";
import { vectorsInWords } from "./vectors-in-words.ts";
import { ago, count, counted } from "./words.ts";

export const defineStatus: DefineCommand = (command, context) => {
  command.action((options: { readonly json?: boolean }) => status(options.json === true, context));
};

async function status(json: boolean, context: CommandContext): Promise<void> {
  const { terminal } = context;
  await withParts(context, async ({ database, config }) => {
    const stats = await queueStats(database.call);
    if (json) terminal.record({ database: database.transport, ...stats });
    else
      for (const line of table(rowsOf(stats, database.describes, config.dailyBudgetUsd))) terminal.say(line);
  });
  context.end(exitCodes.done);
}

function rowsOf(stats: QueueFigures, database: string, budgetUsd: number | null): string[][] {
  return [
    ["Database", database],
    ["Queue", queueInWords(stats)],
    ...waitsOf(stats),
    ...stats.paused.map((one) => ["Paused", pauseInWords(one)]),
    ...stats.tenants_at_cap.map((one) => [
      "At its limit",
      `tenant ${clip(one.tenant_id, 60)}: ${one.jobs} of ${one.max_jobs} jobs at work`,
    ]),
    ...recentOf(stats),
    ...todayOf(stats, budgetUsd),
    [
      "Workers",
      stats.workers.length === 0 ? "none is running: npm run worker:rag" : count(stats.workers.length),
    ],
    ...stats.workers.map((worker) => [
      "",
      `${worker.worker_id}  ${counted(worker.jobs, "job")}, up ${ago((Date.now() - worker.started_at.getTime()) / 1000)}`,
    ]),
    [
      "Model",
      stats.model === null ? "none yet" : `${stats.model.model}, ${stats.model.dimensions} dimensions`,
    ],
    ["Vectors", vectorsInWords(stats)],
    ["Vacuum", clip(judgeHorizon(stats).says, 400)],
  ];
}

function queueInWords(stats: QueueFigures): string {
  return [
    `${count(stats.queued)}${stats.capped ? " or more" : ""} waiting`,
    `${count(stats.processing)} at work`,
    stats.oldest_queued_seconds === null ? null : `the oldest has waited ${ago(stats.oldest_queued_seconds)}`,
  ]
    .filter(Boolean)
    .join(", ");
}

const reasons: Readonly<Record<WaitReason, string>> = {
  slot: "for a free slot",
  time: "for their time",
  backoff: "for the next try",
  document: "for another job of their document",
  pause: "for the end of a pause",
  cap: "for their tenant's limit",
  worker: "for a worker: none is running",
  kind: "for a worker that takes their kind",
};

function waitsOf({ waiting }: QueueFigures): string[][] {
  const words = waitReasons.flatMap((reason) => {
    const jobs = waiting[reason] ?? 0;
    return jobs === 0 ? [] : `${count(jobs)} ${reasons[reason]}`;
  });
  return words.length === 0 ? [] : [["Waiting", words.join(", ")]];
}

function recentOf(stats: QueueFigures): string[][] {
  const day = stats.last_day;
  const paid = costInWords(day.cost_usd);
  const hour = stats.last_hour_complete;
  // Only the newest 10,000 jobs are counted: on a busy day they are those of less than a day.
  const span = day.seconds >= DAY_SECONDS ? "Last day" : `Last ${ago(day.seconds)}`;
  return [
    ...(hour === null ? [] : [["Last hour", `${count(hour)} complete (${(hour / 60).toFixed(1)} a minute)`]]),
    [span, `${count(day.complete)} complete, ${count(day.failed)} failed, ${count(day.cancelled)} cancelled`],
    [
      "",
      `${counted(day.chunks, "chunk")}, ${count(day.reused_chunks)} reused, ${counted(day.tokens, "token")}${paid === null ? "" : `, ${paid}`}`,
    ],
  ];
}

function todayOf({ today }: QueueFigures, budgetUsd: number | null): string[][] {
  if (budgetUsd === null) return [];
  const spent = today.cost_usd >= budgetUsd ? ": paid work waits for the next day (UTC)" : "";
  return [["Budget", `$${today.cost_usd.toFixed(2)} of $${budgetUsd.toFixed(2)} today${spent}`]];
}

const DAY_SECONDS = 86_400;
