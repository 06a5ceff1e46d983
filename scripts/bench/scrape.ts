// What one scrape of /metrics costs beside a long queue: processor time of the process that answers it, and the time of
// the database, which is asked at most once in two seconds. Shares are of one core, at
// Prometheus' usual fifteen seconds.
import { setTimeout as sleep } from "node:timers/promises";
import { openActivity } from "../../worker/activity/activity.ts";
import { openPostgres } from "../../worker/database/postgres.ts";
import { openMetrics } from "../../worker/status/metrics.ts";
import { openQueueFigures } from "../../worker/status/queue-figures.ts";
import { quantile } from "./contestants/quantiles.ts";
import type { BenchOptions, Report } from "./figure.ts";
import { openPostgresWorld } from "./worlds.ts";

const WAITING = 10_000;
const SCRAPES = 200;
const READINGS = 10;
const EVERY_MS = 15_000;
// Figures are read again after two seconds.
const STALE_MS = 2_100;

export async function benchScrape(report: Report, options: BenchOptions): Promise<void> {
  const waiting = options.jobs ?? WAITING;
  const world = await openPostgresWorld();
  try {
    await world.withSession((session) =>
      session.query(
        `with d as (
           insert into public.rag_documents (tenant_id, source_uri)
           select 'tenant-' || n % 50, 'inline:' || n from generate_series(1, $1) n returning id, tenant_id)
         insert into public.rag_ingestion_queue (kind, document_id, tenant_id) select 'document', id, tenant_id from d`,
        [waiting],
      ),
    );
    const url = String(world.settings.DATABASE_URL);
    const database = await openPostgres({ url, poolMax: 2, poolTimeoutSeconds: 30 });
    try {
      const figure = { bench: "scrape", case: `${waiting.toLocaleString("en")} waiting`, contestant: "ours" };
      const metrics = openMetrics({
        activity: openActivity(),
        state: () => ({
          workerId: "bench/1",
          condition: "working",
          code: null,
          advice: null,
          jobs: 0,
          slots: 1,
          loopAgeMs: 0,
          leaseAgeMs: 0,
        }),
        figures: openQueueFigures(() => database.call("rag_queue_stats", {})),
        activityLog: () => ({ queue_length: 0, queue_full: false, dropped: 0, stored: 0, spilled: 0 }),
        version: "0.0.0",
        budgetUsd: null,
      });
      for (let times = 0; times < SCRAPES; times += 1) await metrics.scrape();
      const before = process.cpuUsage();
      for (let times = 0; times < SCRAPES; times += 1) await metrics.scrape();
      const { user, system } = process.cpuUsage(before);
      const readings: number[] = [];
      const cpu: number[] = [];
      for (let times = 0; times < READINGS; times += 1) {
        await sleep(STALE_MS);
        const cpuBefore = process.cpuUsage();
        await metrics.scrape();
        const spent = process.cpuUsage(cpuBefore);
        cpu.push((spent.user + spent.system) / 1000);
        const began = performance.now();
        await database.call("rag_queue_stats", {});
        readings.push(performance.now() - began);
      }
      metrics.stop();
      const warm = (user + system) / 1000 / SCRAPES;
      const whole = quantile(cpu, 0.5);
      const asked = quantile(readings, 0.5);
      report({ ...figure, metric: "processor, figures at hand", value: warm, unit: "ms" });
      report({ ...figure, metric: "processor, figures read", value: whole, unit: "ms" });
      report({ ...figure, metric: "database, median", value: asked, unit: "ms" });
      const share = ((whole + asked) / EVERY_MS) * 100;
      report({ ...figure, metric: "share of a core, every 15 s", value: share, unit: "%" });
    } finally {
      await database.close();
    }
  } finally {
    await world.close();
  }
}
