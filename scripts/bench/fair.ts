// Whether a small tenant notices a big one, and what caps cost. Ours alone has tenants; the peers show what a
// queue in order of arrival does with the same rows.
import { setTimeout as sleep } from "node:timers/promises";
import { boss } from "./contestants/boss.ts";
import { monotonicMs } from "./contestants/clock.ts";
import type { Contestant } from "./contestants/contestant.ts";
import { createDatabase, type FreshDatabase } from "./contestants/fresh-database.ts";
import { graphile } from "./contestants/graphile.ts";
import { mostAtWork, readHistory, recordHistory } from "./contestants/history.ts";
import { ours } from "./contestants/ours.ts";
import type { PartSettings } from "./contestants/part.ts";
import { median, medianRatio, quantile } from "./contestants/quantiles.ts";
import { drain, secondsOf, serve, startPart } from "./contestants/running.ts";
import { asked, type BenchOptions, type Report } from "./figure.ts";

const BACKLOG = 100_000;
const ROUNDS = 3;
const FETCH = 100;

// Jobs long enough that slots are what everybody waits for.
const SLOW = { jobMs: 50, slots: 8, smallTenants: 40 };
// Free caps: more than all slots together, so that none binds.
const FREE = { tenants: 50, maxJobs: 1000, processes: 2, share: 0.2 };
// Tight ones: two processes with sixteen slots each would run eight times as many.
const TIGHT = { tenants: 4, maxJobs: 3, jobMs: 5, slots: 16, processes: 2, jobs: 2000 };

const part = (database: FreshDatabase, more: Partial<PartSettings>): PartSettings => ({
  url: database.url,
  mode: "drain",
  fetch: FETCH,
  jobMs: 0,
  tellStarts: false,
  bus: "silent",
  ...more,
});

export async function benchFair(report: Report, options: BenchOptions): Promise<void> {
  const backlog = options.jobs ?? BACKLOG;
  for (const contestant of asked([ours, graphile, boss], options)) {
    await measureLast(contestant, backlog, report, options);
  }
  if (asked([ours], options).length === 0) return;
  await measureSmallTenants(backlog, report, options);
  await measureFreeCaps(backlog * FREE.share, report, options);
  await measureTightCaps(report, options);
}

/** The small tenant's only job is enqueued behind the whole backlog; the share of the drain that it waits. */
async function measureLast(contestant: Contestant, backlog: number, report: Report, options: BenchOptions) {
  await inDatabase(contestant, async (database) => {
    await contestant.fill(database.url, { jobs: backlog, tenants: ["big"] });
    await contestant.fill(database.url, { jobs: 1, tenants: ["small"] });
    await database.withSession((session) => session.query("vacuum analyze"));
    let before = 0;
    let startedAt = Number.NaN;
    const drained = await drain(contestant, part(database, { tellStarts: true }), 1, {
      started: (tenant, at) => {
        if (tenant === "small") startedAt = at;
        else if (Number.isNaN(startedAt)) before += 1;
      },
    });
    const figure = {
      bench: "fair",
      case: `last of ${(backlog + 1).toLocaleString("en")}`,
      contestant: contestant.name,
    };
    const ms = startedAt - drained.firstClaimAt;
    options.progress(
      `${contestant.name}: the small tenant waited ${ms.toFixed(0)} ms, behind ${before} jobs`,
    );
    report({ ...figure, metric: "wait", value: ms, unit: "ms" });
    report({ ...figure, metric: "jobs before it", value: before, unit: "" });
    report({
      ...figure,
      metric: "wait",
      value: ms / 1000 / secondsOf(drained),
      unit: "ratio",
      ratio_to: "the whole drain",
    });
  });
}

/** All slots are busy with the big tenant's jobs; now and then a new tenant enqueues its one job. */
async function measureSmallTenants(backlog: number, report: Report, options: BenchOptions): Promise<void> {
  await inDatabase(ours, async (database) => {
    await ours.fill(database.url, { jobs: backlog, tenants: ["big"] });
    await database.withSession((session) => session.query("vacuum analyze"));
    const tenants = Array.from({ length: SLOW.smallTenants }, (_, n) => `small-${n}`);
    const enqueuer = await ours.openEnqueuer(database.url, { tenants, bus: "silent" });
    const starts = new Map<string, (at: number) => void>();
    const running = startPart(
      ours,
      part(database, { mode: "serve", fetch: SLOW.slots, jobMs: SLOW.jobMs, tellStarts: true }),
      { started: (tenant, at) => starts.get(tenant)?.(at) },
    );
    try {
      await running.ready;
      running.go();
      await sleep(1000);
      const waits: number[] = [];
      for (const tenant of tenants) {
        await sleep(SLOW.jobMs * (1 + Math.random()));
        const started = new Promise<number>((resolve) => {
          starts.set(tenant, resolve);
        });
        const enqueuedAt = monotonicMs();
        await enqueuer.next();
        waits.push((await started) - enqueuedAt);
      }
      running.stop();
      await running.ended;
      const figure = {
        bench: "fair",
        case: `${SLOW.jobMs} ms jobs, ${SLOW.slots} slots`,
        contestant: "ours",
      };
      options.progress(`small tenants beside ${backlog} jobs: ${quantile(waits, 0.5).toFixed(0)} ms p50`);
      report({ ...figure, metric: "wait p50", value: quantile(waits, 0.5), unit: "ms" });
      report({ ...figure, metric: "wait p95", value: quantile(waits, 0.95), unit: "ms" });
      report({ ...figure, metric: "longest wait", value: Math.max(...waits), unit: "ms" });
      report({
        ...figure,
        metric: "longest wait",
        value: Math.max(...waits) / SLOW.jobMs,
        unit: "ratio",
        ratio_to: "one job's time",
      });
    } finally {
      running.kill();
      await enqueuer.close();
    }
  });
}

/** The same drain with no tenant's cap set, and with one for each that never binds. */
async function measureFreeCaps(jobs: number, report: Report, options: BenchOptions): Promise<void> {
  const tenants = Array.from({ length: FREE.tenants }, (_, n) => `tenant-${n}`);
  const rates = { none: [] as number[], set: [] as number[] };
  for (let round = 1; round <= (options.rounds ?? ROUNDS); round += 1) {
    for (const caps of ["none", "set"] as const) {
      await inDatabase(ours, async (database) => {
        await ours.fill(database.url, { jobs, tenants });
        if (caps === "set") await capAll(database, tenants, FREE.maxJobs);
        await database.withSession((session) => session.query("vacuum analyze"));
        const drained = await drain(ours, part(database, {}), FREE.processes);
        if (drained.jobs !== jobs) throw new Error(`ours ran ${drained.jobs} of ${jobs} jobs.`);
        rates[caps].push(jobs / secondsOf(drained));
        options.progress(`round ${round}  caps ${caps}  ${Math.round(rates[caps].at(-1) ?? 0)} jobs/s`);
      });
    }
  }
  const figure = {
    bench: "fair",
    case: `caps that do not bind, ${FREE.tenants} tenants`,
    contestant: "ours",
  };
  report({ ...figure, metric: "jobs/s without", value: median(rates.none), unit: "1/s" });
  report({ ...figure, metric: "jobs/s with", value: median(rates.set), unit: "1/s" });
  report({
    ...figure,
    metric: "jobs/s",
    value: medianRatio(rates.set, rates.none),
    unit: "ratio",
    ratio_to: "no caps",
  });
}

/** Caps far below what the slots would run; the history says whether one was ever exceeded. */
async function measureTightCaps(report: Report, options: BenchOptions): Promise<void> {
  const tenants = Array.from({ length: TIGHT.tenants }, (_, n) => `tenant-${n}`);
  await inDatabase(ours, async (database) => {
    await ours.fill(database.url, { jobs: TIGHT.jobs, tenants });
    await capAll(database, tenants, TIGHT.maxJobs);
    await database.withSession(recordHistory);
    const settings = part(database, { fetch: TIGHT.slots, jobMs: TIGHT.jobMs });
    const drained = await serve(ours, settings, TIGHT.processes, TIGHT.jobs);
    const history = await database.withSession(readHistory);
    const most = [...mostAtWork(history).values()];
    const figure = {
      bench: "fair",
      case: `caps of ${TIGHT.maxJobs}, ${TIGHT.processes} x ${TIGHT.slots} slots`,
      contestant: "ours",
    };
    const above = most.filter((jobs) => jobs > TIGHT.maxJobs).length;
    options.progress(
      `caps of ${TIGHT.maxJobs}: at most ${Math.max(...most)} at once in ${history.length / 2} claims`,
    );
    report({ ...figure, metric: "claims checked", value: history.length / 2, unit: "" });
    report({ ...figure, metric: "most at once", value: Math.max(...most), unit: "" });
    report({ ...figure, metric: "tenants above", value: above, unit: "" });
    const ideal = (TIGHT.jobs * TIGHT.jobMs) / 1000 / (TIGHT.tenants * TIGHT.maxJobs);
    report({
      ...figure,
      metric: "of the cap used",
      value: ideal / secondsOf(drained),
      unit: "ratio",
      ratio_to: "always full",
    });
  });
}

async function capAll(database: FreshDatabase, tenants: readonly string[], maxJobs: number): Promise<void> {
  await database.withSession((session) =>
    session.query(
      "insert into public.rag_tenants (tenant_id, max_jobs) select t, $2::int from unnest($1::text[]) t",
      [tenants, maxJobs],
    ),
  );
}

async function inDatabase(
  contestant: Contestant,
  work: (database: FreshDatabase) => Promise<void>,
): Promise<void> {
  const database = await createDatabase();
  try {
    await contestant.install(database.url);
    await work(database);
  } finally {
    await database.drop();
  }
}
