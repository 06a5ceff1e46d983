// pg-boss's own worker, draining or serving. Its fastest documented way: a whole batch handed to one handler,
// and the next fetched at once while batches come back full (burstWhenBatchFull). A batch of 1 knows no burst:
// such jobs are fetched and completed one by one through its API, without the half second between its polls.
// Source: pgboss.io/api/workers ("batchSize", "burstWhenBatchFull") and /api/jobs ("fetch", "complete").
import { setTimeout as sleep } from "node:timers/promises";
import type { PgBoss } from "pg-boss";
import { openBoss, QUEUE } from "./boss.ts";
import { monotonicMs } from "./clock.ts";
import { DrainClock, type Part, takePart } from "./part.ts";

type Payload = { readonly tenant: string };

await takePart(async (part) => {
  const clock = new DrainClock();
  const boss = openBoss(part.settings.url, { useListenNotify: part.settings.mode === "serve" });
  await boss.start();
  await boss.getQueue(QUEUE);
  await part.ready();
  if (part.settings.mode === "drain" && part.settings.fetch === 1) await drainOneByOne(boss, part, clock);
  else await work(boss, part, clock);
  await boss.stop({ graceful: true, timeout: 5000 });
  return clock.drained();
});

async function work(boss: PgBoss, part: Part, clock: DrainClock): Promise<void> {
  const { fetch, jobMs, tellStarts, mode } = part.settings;
  const empty = watchStatements(boss, clock);
  await boss.work<Payload>(
    QUEUE,
    { batchSize: fetch, localConcurrency: 2, burstWhenBatchFull: true, pollingIntervalSeconds: 0.5 },
    async (jobs) => {
      if (tellStarts) for (const job of jobs) part.started(job.data.tenant, monotonicMs());
      clock.ran(jobs.length);
      if (jobMs > 0) await sleep(jobMs);
    },
  );
  await (mode === "drain" ? empty : part.stopped);
}

/** Notes claims and settlements as its statements come back; resolves with the first fetch that brings nothing. */
function watchStatements(boss: PgBoss, clock: DrainClock): Promise<void> {
  const database = boss.getDb();
  const execute = database.executeSql.bind(database);
  return new Promise((resolve) => {
    database.executeSql = async (text, values) => {
      const sentAt = monotonicMs();
      const answer = await execute(text, values);
      if (/skip locked/i.test(text)) {
        clock.claimed(sentAt, answer.rows.length);
        if (answer.rows.length === 0) resolve();
      }
      if (/completed_on = /i.test(text)) clock.settled(monotonicMs());
      return answer;
    };
  });
}

async function drainOneByOne(boss: PgBoss, part: Part, clock: DrainClock): Promise<void> {
  for (;;) {
    const sentAt = monotonicMs();
    const [job] = await boss.fetch<Payload>(QUEUE);
    if (job === undefined) return;
    clock.claimed(sentAt, 1);
    if (part.settings.tellStarts) part.started(job.data.tenant, monotonicMs());
    if (part.settings.jobMs > 0) await sleep(part.settings.jobMs);
    await boss.complete(QUEUE, job.id);
    clock.settled(monotonicMs());
    clock.ran(1);
  }
}
