// What being watched costs. One scrape of /metrics beside a long queue: processor time of the process that answers it,
// and the time of the database, which is asked at most once in two seconds; and one question of an application how its
// job is. Then as a share of what jobs take: a worker drains a queue unwatched, and is charged for a scrape in
// Prometheus' usual fifteen seconds and for each job asked about once a second while it is under way. Charged and not
// watched, for what is looked for is less than two runs differ by; database time counts as processor time, and what
// the database does for a job is left out of what a job takes: both make the share larger.
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { openActivity } from "../../worker/activity/activity.ts";
import type { Database } from "../../worker/database/database.ts";
import { openPostgres } from "../../worker/database/postgres.ts";
import { openMetrics } from "../../worker/status/metrics.ts";
import { openQueueFigures } from "../../worker/status/queue-figures.ts";
import { someActivity, someState } from "../../worker/status/testing/some-figures.ts";
import { startEmbeddingServer } from "../../worker/tests/stand-ins/embedding-server.ts";
import { quantile } from "./contestants/quantiles.ts";
import type { BenchOptions, Report } from "./figure.ts";
import { runWorkerOnce } from "./worker-run.ts";
import { openPostgresWorld, resultOf } from "./worlds.ts";

const WAITING = 10_000;
const SCRAPES = 200;
const READINGS = 10;
const EVERY_MS = 15_000;
const ASKED_EVERY_MS = 1_000;
const DOCUMENTS = 400;
const PARAGRAPHS = 60;
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
        state: () => someState,
        figures: openQueueFigures(() => database.call("rag_queue_stats", {})),
        activityLog: () => someActivity,
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
      const waits = await askAboutJobs(database, "queued");
      report({ ...figure, metric: "asked about a job that waits, median", value: waits, unit: "ms" });
      await database.call("rag_claim_jobs", {
        p_worker: "bench/1",
        p_slots: SCRAPES,
        p_kinds: ["document"],
        p_lease_seconds: 600,
      });
      const question = await askAboutJobs(database, "processing");
      report({ ...figure, metric: "asked about a job at work, median", value: question, unit: "ms" });
      options.progress("a worker drains a queue");
      const job = await measureJobs();
      const ofJobs = { ...figure, case: `${DOCUMENTS} documents of ${PARAGRAPHS} paragraphs` };
      report({ ...ofJobs, metric: "processor, one job", value: job.cpuMs, unit: "ms" });
      const scraped = ((whole + asked) / EVERY_MS) * job.everyMs;
      const polled = (job.durationMs / ASKED_EVERY_MS) * question;
      report({
        ...ofJobs,
        metric: "scraping, share of a job",
        value: (scraped / job.cpuMs) * 100,
        unit: "%",
      });
      report({ ...ofJobs, metric: "polling, share of a job", value: (polled / job.cpuMs) * 100, unit: "%" });
    } finally {
      await database.close();
    }
  } finally {
    await world.close();
  }
}

/** As an application asks that waits for its job, one after the other on one connection. */
async function askAboutJobs(database: Database, status: string): Promise<number> {
  const jobs = z
    .array(z.object({ id: z.string() }))
    .parse(await database.call("rag_list_jobs", { p_filter: { status: [status] }, p_limit: SCRAPES }));
  const times: number[] = [];
  for (const { id } of jobs) {
    const began = performance.now();
    await database.call("rag_describe_job", { p_job_id: id });
    times.push(performance.now() - began);
  }
  return quantile(times, 0.5);
}

/** What one job of a busy worker takes, how long it is under way, and how soon the next one ends. */
async function measureJobs() {
  const world = await openPostgresWorld();
  const openai = await startEmbeddingServer({ dimensions: 384 });
  try {
    await world.withSession(async (session) => {
      for (let number = 0; number < DOCUMENTS; number += 1) {
        const paragraphs = Array.from(
          { length: PARAGRAPHS },
          (_, at) => `Paragraph ${at} of document ${number} tells of thing ${at * 7 + number} and no other. `,
        );
        const content = paragraphs.map((text) => text.repeat(6)).join("\n\n");
        await session.query("select public.rag_enqueue($1::jsonb)", [{ content, title: `d${number}` }]);
      }
    });
    const run = await runWorkerOnce({
      ...world.settings,
      OPENAI_API_KEY: "k",
      OPENAI_BASE_URL: openai.baseUrl,
      RAG_EMBEDDING_MODEL: "stand-in",
      RAG_EMBEDDING_DIMENSIONS: "384",
    });
    const { seconds, documents } = await resultOf(world);
    const durationMs = await world.withSession(async (session) => {
      const [row] = await session.query(
        `select avg(extract(epoch from completed_at - started_at) * 1000)::double precision as ms
         from public.rag_ingestion_queue`,
      );
      return Number(row?.ms);
    });
    return {
      cpuMs: (run.cpuSeconds * 1000) / documents,
      everyMs: (seconds * 1000) / documents,
      durationMs,
    };
  } finally {
    await openai.close();
    await world.close();
  }
}
