// What the activity log costs whoever logs, and how many rows a second it brings into Postgres with two writers.
import { setImmediate as nextTurn } from "node:timers/promises";
import { type ActivityLog, openActivityLog } from "../../worker/activity/activity-log.ts";
import type { LogEntry } from "../../worker/activity/log-entry.ts";
import { openPostgres } from "../../worker/database/postgres.ts";
import { quantile } from "./contestants/quantiles.ts";
import type { BenchOptions, Report } from "./figure.ts";
import { openPostgresWorld } from "./worlds.ts";

const ROWS = 30_000;
const ROUNDS = 3;
const POOL = { poolMax: 3, poolTimeoutSeconds: 30 };

const entry: LogEntry = {
  activityType: "message_sent",
  sessionId: "5b0f4e0e-7d0e-4c53-9c0b-2f2f7cbbfc1d",
  userId: "ann",
  tenantId: "acme",
  messageContent: "How long may I keep a drill from the tool library, and what happens when I am late?",
  tokenCount: 21,
  similarityScore: 0.83,
  processingTimeMs: 412.5,
  metadata: { model: "some-model", hits: 5 },
};

export async function benchActivity(report: Report, options: BenchOptions): Promise<void> {
  const rounds = options.rounds ?? ROUNDS;
  const rows = options.jobs ?? ROWS;
  const logged: number[] = [];
  const rates: number[] = [];
  const cpu: number[] = [];
  let grown = 0;
  for (let round = 1; round <= rounds; round += 1) {
    const world = await openPostgresWorld();
    const database = await openPostgres({ url: world.settings.DATABASE_URL ?? "", ...POOL });
    try {
      const log = openActivityLog({ call: database.call, spillFolder: null });
      const before = process.memoryUsage.rss();
      const cpuBefore = process.cpuUsage();
      const startedAt = performance.now();
      logged.push(...(await logAll(log, rows)));
      await log.close();
      const seconds = (performance.now() - startedAt) / 1000;
      const { user, system } = process.cpuUsage(cpuBefore);
      const { stored, dropped } = log.figures();
      if (stored !== rows || dropped > 0) throw new Error(`${stored} of ${rows} were stored`);
      rates.push(rows / seconds);
      cpu.push((user + system) / rows);
      grown = Math.max(grown, process.memoryUsage.rss() - before);
      options.progress(`round ${round}/${rounds}  ${Math.round(rows / seconds)} rows/s`);
    } finally {
      await database.close();
      await world.close();
    }
  }
  const figure = { bench: "activity", case: "two writers, Postgres", contestant: "ours" };
  report({ ...figure, metric: "log() p50", value: quantile(logged, 0.5), unit: "us" });
  report({ ...figure, metric: "log() p99", value: quantile(logged, 0.99), unit: "us" });
  report({ ...figure, metric: "stored", value: quantile(rates, 0.5), unit: "rows/s" });
  report({ ...figure, metric: "CPU of ours", value: quantile(cpu, 0.5), unit: "us/row" });
  report({ ...figure, metric: "RSS growth", value: grown / 1024 / 1024, unit: "MB" });
}

/** Microseconds of each log(); whoever logs faster than rows are written waits for room. */
async function logAll(log: ActivityLog, rows: number): Promise<number[]> {
  const times: number[] = [];
  for (let row = 0; row < rows; row += 1) {
    if (log.figures().queue_full) await log.logAsync(entry);
    else {
      const startedAt = process.hrtime.bigint();
      log.log(entry);
      times.push(Number(process.hrtime.bigint() - startedAt) / 1000);
    }
    if (row % 50 === 0) await nextTurn();
  }
  return times;
}
