// How many trivial jobs a second go through the queue, beside its peers: same rows, same fetch size, same number
// of processes, in turn, each in a fresh database. Ours keeps its history and its fences; graphile-worker
// deletes what it finished, pg-boss keeps it. The clock runs from the first claim to the last settlement.
import { boss } from "./contestants/boss.ts";
import type { Contestant } from "./contestants/contestant.ts";
import { costsBetween, type DatabaseCosts, readCosts } from "./contestants/database-costs.ts";
import { createDatabase } from "./contestants/fresh-database.ts";
import { graphile } from "./contestants/graphile.ts";
import { ours } from "./contestants/ours.ts";
import { median, medianRatio } from "./contestants/quantiles.ts";
import { drain, secondsOf } from "./contestants/running.ts";
import { asked, type BenchOptions, type Report } from "./figure.ts";

const JOBS = 20_000;
const ROUNDS = 3;
const CONTESTANTS = [graphile, ours, boss];
const FETCHES = [500, 100, 1];
const PROCESSES = [1, 2];
// One by one is slower by a factor of ten and more.
const SLOWER = 10;

type Run = { readonly jobsASecond: number; readonly costs: DatabaseCosts; readonly jobs: number };
type Runs = Map<string, Run[]>;

const keyOf = (name: string, contestant: Contestant) => `${name}/${contestant.name}`;
const caseOf = (fetch: number, processes: number) =>
  `${fetch === 1 ? "one by one" : `fetch ${fetch}`}, ${processes} process${processes === 1 ? "" : "es"}`;

export async function benchQueue(report: Report, options: BenchOptions): Promise<void> {
  const rounds = options.rounds ?? ROUNDS;
  const runs: Runs = new Map();
  for (let round = 1; round <= rounds; round += 1) {
    for (const fetch of FETCHES) {
      for (const processes of PROCESSES) {
        for (const contestant of asked(CONTESTANTS, options)) {
          const name = caseOf(fetch, processes);
          const jobs = Math.ceil((options.jobs ?? JOBS) / (fetch === 1 ? SLOWER : 1));
          const run = await runOnce(contestant, jobs, fetch, processes);
          const key = keyOf(name, contestant);
          runs.set(key, [...(runs.get(key) ?? []), run]);
          options.progress(
            `round ${round}/${rounds}  ${name}  ${contestant.name}  ${Math.round(run.jobsASecond)} jobs/s`,
          );
        }
      }
    }
  }
  for (const fetch of FETCHES)
    for (const processes of PROCESSES) tell(runs, caseOf(fetch, processes), report);
}

async function runOnce(contestant: Contestant, jobs: number, fetch: number, processes: number): Promise<Run> {
  const database = await createDatabase();
  try {
    await contestant.install(database.url);
    await contestant.fill(database.url, { jobs });
    const settings = {
      url: database.url,
      mode: "drain",
      fetch,
      jobMs: 0,
      tellStarts: false,
      bus: "silent",
    } as const;
    return await database.withSession(async (session) => {
      await session.query("vacuum analyze");
      const before = await readCosts(session);
      const drained = await drain(contestant, settings, processes);
      if (drained.jobs !== jobs)
        throw new Error(`${contestant.name} ran ${drained.jobs} of ${jobs} jobs: not a run to measure.`);
      const costs = costsBetween(before, await readCosts(session));
      return { jobsASecond: jobs / secondsOf(drained), costs, jobs };
    });
  } finally {
    await database.drop();
  }
}

function tell(runs: Runs, name: string, report: Report): void {
  const of = (contestant: Contestant) => runs.get(keyOf(name, contestant)) ?? [];
  for (const contestant of CONTESTANTS) {
    const mine = of(contestant);
    if (mine.length === 0) continue;
    const figure = { bench: "queue", case: name, contestant: contestant.name };
    const middle = (value: (run: Run) => number) => median(mine.map(value));
    report({ ...figure, metric: "jobs/s", value: middle((run) => run.jobsASecond), unit: "1/s" });
    const versions = middle((run) => (run.costs.inserted + run.costs.updated) / run.jobs);
    report({ ...figure, metric: "row versions/job", value: versions, unit: "" });
    report({ ...figure, metric: "of them HOT", value: middle((run) => run.costs.hot / run.jobs), unit: "" });
    report({
      ...figure,
      metric: "deletes/job",
      value: middle((run) => run.costs.deleted / run.jobs),
      unit: "",
    });
    const transactions = middle((run) => run.costs.transactions / run.jobs);
    report({ ...figure, metric: "transactions/job", value: transactions, unit: "" });
  }
  for (const peer of [graphile, boss]) {
    if (of(peer).length === 0 || of(ours).length === 0) continue;
    const ratio = medianRatio(
      of(ours).map((run) => run.jobsASecond),
      of(peer).map((run) => run.jobsASecond),
    );
    report({
      bench: "queue",
      case: name,
      contestant: "ours",
      metric: "jobs/s",
      value: ratio,
      unit: "ratio",
      ratio_to: peer.name,
    });
  }
}
