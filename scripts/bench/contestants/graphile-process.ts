// graphile-worker's own pool, draining once or serving, under the settings of its documentation.
import { setTimeout as sleep } from "node:timers/promises";
import { run, runOnce, type Task } from "graphile-worker";
import { monotonicMs } from "./clock.ts";
import { newEvents, openTimedPool, silentLogger, workerSettings } from "./graphile-settings.ts";
import { DrainClock, takePart } from "./part.ts";

await takePart(async (part) => {
  const { url, fetch, jobMs, tellStarts, mode } = part.settings;
  const clock = new DrainClock();
  const pool = openTimedPool(url, fetch, clock);
  await pool.query("select 1");
  const events = newEvents();
  let askedAt: number | null = null;
  events.on("worker:getJob:start", () => {
    askedAt ??= monotonicMs();
  });
  events.on("worker:getJob:empty", () => {
    if (askedAt !== null) part.empty(monotonicMs() - askedAt);
    askedAt = null;
  });
  const document: Task = async (payload) => {
    if (tellStarts) part.started((payload as { tenant: string }).tenant, monotonicMs());
    if (askedAt !== null) clock.claimed(askedAt, 1);
    askedAt = null;
    clock.ran(1);
    if (jobMs > 0) await sleep(jobMs);
  };
  const options = {
    preset: { worker: { ...workerSettings(fetch), logger: silentLogger, events } },
    pgPool: pool,
    taskList: { document },
    noHandleSignals: true,
  };
  await part.ready();
  if (mode === "drain") {
    await runOnce(options);
  } else {
    const runner = await run({ ...options, parsedCronItems: [] });
    await part.stopped;
    await runner.stop();
  }
  await pool.end();
  return clock.drained();
});
