// What an old snapshot, a million finished rows and a hundred thousand delayed ones do to the queue. A snapshot
// that is held open keeps the index entry of every job that was ready since: claims and empty polls walk them,
// unless they know from where to begin. Each contestant in a fresh database; the peers have their own ways.
import postgres from "postgres";
import { boss } from "./contestants/boss.ts";
import type { Contestant } from "./contestants/contestant.ts";
import { createDatabase, type FreshDatabase } from "./contestants/fresh-database.ts";
import { graphile } from "./contestants/graphile.ts";
import { ours } from "./contestants/ours.ts";
import { openProbes } from "./contestants/probes.ts";
import { median, medianRatio } from "./contestants/quantiles.ts";
import { drain, secondsOf } from "./contestants/running.ts";
import { asked, type BenchOptions, type Figure, type Report } from "./figure.ts";

const CHURNED = 100_000;
const ROUNDS = 1;
const FETCH = 100;
const CONTESTANTS = [ours, graphile, boss];
const CLAIMED = 10;
const PROBES = { empty: 40, claim: 15 };
// The first ones of a connection plan and compile.
const WARM_UP = 5;
// Beside the churned rows: ten times as many finished ones, as many delayed ones, and a fifth to be drained.
const FINISHED_TIMES = 10;
const DRAINED_SHARE = 0.2;
const DELAY_SECONDS = 86_400;

type Case = "undisturbed" | "snapshot held" | "few rows" | "finished rows" | "delayed rows";
type Latencies = { readonly empty: number; readonly claim: number };
type Run = { readonly jobsASecond: number; readonly before: Latencies; readonly after: Latencies };
type Runs = Map<string, Run[]>;

const CASES: readonly Case[] = ["undisturbed", "snapshot held", "few rows", "finished rows", "delayed rows"];
const BESIDE: readonly (readonly [Case, Case])[] = [
  ["snapshot held", "undisturbed"],
  ["finished rows", "few rows"],
  ["delayed rows", "few rows"],
];

export async function benchHorizon(report: Report, options: BenchOptions): Promise<void> {
  const rounds = options.rounds ?? ROUNDS;
  const churned = options.jobs ?? CHURNED;
  const runs: Runs = new Map();
  for (let round = 1; round <= rounds; round += 1) {
    for (const name of CASES) {
      for (const contestant of asked(CONTESTANTS, options)) {
        const run = await measure(contestant, name, churned);
        if (run === null) {
          options.progress(`${contestant.name} keeps no ${name}: not measured.`);
          continue;
        }
        const key = `${name}/${contestant.name}`;
        runs.set(key, [...(runs.get(key) ?? []), run]);
        options.progress(
          `round ${round}/${rounds}  ${name}  ${contestant.name}  ${Math.round(run.jobsASecond)} jobs/s, empty poll ` +
            `${run.before.empty.toFixed(2)} -> ${run.after.empty.toFixed(2)} ms, claim ${run.before.claim.toFixed(2)} -> ${run.after.claim.toFixed(2)} ms`,
        );
      }
    }
  }
  for (const name of CASES)
    for (const contestant of CONTESTANTS) tell(runs, name, contestant, churned, report);
}

/** null where the contestant keeps no such rows. */
async function measure(contestant: Contestant, name: Case, churned: number): Promise<Run | null> {
  const database = await createDatabase();
  const holder = postgres(database.url, { max: 1, onnotice: () => {} });
  try {
    await contestant.install(database.url);
    const drained = name === "undisturbed" || name === "snapshot held" ? churned : churned * DRAINED_SHARE;
    if (!(await fillBeside(contestant, name, database, churned))) return null;
    const before = await latencies(contestant, database);
    if (name === "snapshot held") {
      // Reads something, for the snapshot is taken by the first statement; and writes nothing, as a report would.
      await holder.unsafe("begin transaction isolation level repeatable read, read only");
      await holder.unsafe("select count(*) from pg_class");
    }
    await contestant.fill(database.url, { jobs: drained });
    await database.withSession((session) => session.query("analyze"));
    const settings = {
      url: database.url,
      mode: "drain",
      fetch: FETCH,
      jobMs: 0,
      tellStarts: false,
      bus: "silent",
    } as const;
    const run = await drain(contestant, settings, 1);
    if (run.jobs !== drained) throw new Error(`${contestant.name} ran ${run.jobs} of ${drained} jobs.`);
    const after = await latencies(contestant, database);
    return { jobsASecond: run.jobs / secondsOf(run), before, after };
  } finally {
    await holder.end({ timeout: 1 });
    await database.drop();
  }
}

async function fillBeside(contestant: Contestant, name: Case, database: FreshDatabase, churned: number) {
  const beside =
    name === "finished rows"
      ? { jobs: churned * FINISHED_TIMES, finished: true }
      : name === "delayed rows"
        ? { jobs: churned, delaySeconds: DELAY_SECONDS }
        : null;
  if (beside === null) return true;
  const rows = await contestant.fill(database.url, beside);
  await database.withSession((session) => session.query("vacuum analyze"));
  return rows > 0;
}

async function latencies(contestant: Contestant, database: FreshDatabase): Promise<Latencies> {
  if (contestant.name === "bare") throw new Error("The bare claim is no queue.");
  const probe = await openProbes[contestant.name](database.url);
  const empty: number[] = [];
  const claim: number[] = [];
  try {
    while (empty.length < WARM_UP + PROBES.empty) empty.push(await probe.claim(CLAIMED));
    while (claim.length < WARM_UP + PROBES.claim) {
      await contestant.fill(database.url, { jobs: CLAIMED });
      claim.push(await probe.claim(CLAIMED));
    }
    return { empty: median(empty.slice(WARM_UP)), claim: median(claim.slice(WARM_UP)) };
  } finally {
    await probe.close();
  }
}

function tell(runs: Runs, name: Case, contestant: Contestant, churned: number, report: Report): void {
  const mine = runs.get(`${name}/${contestant.name}`) ?? [];
  if (mine.length === 0) return;
  const rows = name === "finished rows" ? churned * FINISHED_TIMES : churned;
  const label = name === "few rows" ? name : `${name}, ${rows.toLocaleString("en")}`;
  const figure = { bench: "horizon", case: label, contestant: contestant.name };
  const of = (value: (run: Run) => number) => mine.map(value);
  report({ ...figure, metric: "jobs/s", value: median(of((run) => run.jobsASecond)), unit: "1/s" });
  report({ ...figure, metric: "empty poll", value: median(of((run) => run.after.empty)), unit: "ms" });
  report({
    ...figure,
    metric: `claim of ${CLAIMED}`,
    value: median(of((run) => run.after.claim)),
    unit: "ms",
  });
  if (name === "undisturbed" || name === "snapshot held") tellGrowth(mine, figure, report);
  const [, plain] = BESIDE.find(([disturbed]) => disturbed === name) ?? [];
  const beside = plain && runs.get(`${plain}/${contestant.name}`);
  if (!beside) return;
  const kept = medianRatio(
    of((run) => run.jobsASecond),
    beside.map((run) => run.jobsASecond),
  );
  report({ ...figure, metric: "jobs/s", value: kept, unit: "ratio", ratio_to: plain });
}

/** How much slower a look at the queue has become by all that was churned. */
function tellGrowth(
  mine: readonly Run[],
  figure: Omit<Figure, "metric" | "value" | "unit">,
  report: Report,
): void {
  const of = (value: (run: Run) => number) => mine.map(value);
  const ratio = { ...figure, unit: "ratio", ratio_to: "before" };
  const empty = medianRatio(
    of((run) => run.after.empty),
    of((run) => run.before.empty),
  );
  const claim = medianRatio(
    of((run) => run.after.claim),
    of((run) => run.before.claim),
  );
  report({ ...ratio, metric: "empty poll", value: empty });
  report({ ...ratio, metric: `claim of ${CLAIMED}`, value: claim });
}
