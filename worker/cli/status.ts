// rag status: the queue in a few lines, the same figures as /health and /metrics.
import { costInWords } from "../log/terminal-lines.ts";
import { type CommandContext, type DefineCommand, exitCodes } from "./command.ts";
import { withParts } from "./open.ts";
import { type QueueStats, queueStats } from "./queue-stats.ts";
import { table } from "./terminal.ts";
import { ago, count, counted } from "./words.ts";

export const defineStatus: DefineCommand = (command, context) => {
  command.action((options: { readonly json?: boolean }) => status(options.json === true, context));
};

async function status(json: boolean, context: CommandContext): Promise<void> {
  const { terminal } = context;
  await withParts(context, async ({ database }) => {
    const stats = await queueStats(database.call);
    if (json) terminal.record({ database: database.transport, ...stats });
    else for (const line of table(rowsOf(stats, database.describes))) terminal.say(line);
  });
  context.end(exitCodes.done);
}

function rowsOf(stats: QueueStats, database: string): string[][] {
  const day = stats.last_day;
  const ready = stats.queued - stats.delayed;
  const paid = costInWords(day.cost_usd);
  return [
    ["Database", database],
    [
      "Queue",
      [
        `${count(ready)} ready`,
        `${count(stats.delayed)} waiting for their time`,
        `${count(stats.processing)} at work`,
        stats.oldest_queued_seconds === null
          ? null
          : `the oldest has waited ${ago(stats.oldest_queued_seconds)}`,
      ]
        .filter(Boolean)
        .join(", "),
    ],
    [
      "Last hour",
      `${count(stats.last_hour_complete)} complete (${(stats.last_hour_complete / 60).toFixed(1)} a minute)`,
    ],
    [
      "Last day",
      `${count(day.complete)} complete, ${count(day.failed)} failed, ${count(day.cancelled)} cancelled`,
    ],
    [
      "",
      `${counted(day.chunks, "chunk")}, ${count(day.reused_chunks)} reused, ${counted(day.tokens, "token")}${paid === null ? "" : `, ${paid}`}`,
    ],
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
  ];
}
