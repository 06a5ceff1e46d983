// How long a job waits that finds everybody idle: from before its insert is sent until its handler starts, on one
// monotonic clock. Ours with each wake-up bus, beside graphile-worker's and pg-boss's LISTEN, and beside the
// floor: LISTEN and a claim by hand.
import { setTimeout as sleep } from "node:timers/promises";
import { bare } from "./contestants/bare.ts";
import { boss } from "./contestants/boss.ts";
import { monotonicMs } from "./contestants/clock.ts";
import type { Contestant } from "./contestants/contestant.ts";
import { createDatabase } from "./contestants/fresh-database.ts";
import { graphile } from "./contestants/graphile.ts";
import { ours } from "./contestants/ours.ts";
import type { WakeBusName } from "./contestants/part.ts";
import { quantile } from "./contestants/quantiles.ts";
import { startPart } from "./contestants/running.ts";
import { asked, type BenchOptions, type Report } from "./figure.ts";

const JOBS = 100;
const ROUNDS = 3;
// The first ones connect, compile and plan.
const WARM_UP = 20;
// Between two jobs; never the same, so that no timer of theirs falls into step with ours. Each has its next job
// only when all the others had theirs, and is asleep again by then.
const IDLE_MS = { least: 15, more: 20 };
const SETTLE_DOWN_MS = 500;
const MOST_WAIT_MS = 20_000;

type Entry = { readonly contestant: Contestant; readonly bus: WakeBusName; readonly name: string };

export async function benchPickup(report: Report, options: BenchOptions): Promise<void> {
  const entries = asked(listEntries(options), options);
  const waits = new Map<Entry, number[]>(entries.map((entry) => [entry, []]));
  const rounds = options.rounds ?? ROUNDS;
  for (let round = 1; round <= rounds; round += 1) {
    const measured = await measureInTurn(entries, options.jobs ?? JOBS);
    for (const [entry, ms] of measured) {
      waits.get(entry)?.push(...ms);
      options.progress(`round ${round}/${rounds}  ${entry.name}  p50 ${quantile(ms, 0.5).toFixed(2)} ms`);
    }
  }
  const p50 = (name: string) => quantile([...waits].find(([entry]) => entry.name === name)?.[1] ?? [], 0.5);
  for (const [entry, measured] of waits) {
    const figure = { bench: "pickup", case: "one job, everybody idle", contestant: entry.name };
    report({ ...figure, metric: "p50", value: quantile(measured, 0.5), unit: "ms" });
    report({ ...figure, metric: "p95", value: quantile(measured, 0.95), unit: "ms" });
    if (entry.contestant !== ours || options.only !== null) continue;
    const own = p50(entry.name);
    report({ ...figure, metric: "p50 above bare", value: own - p50("bare LISTEN"), unit: "ms" });
    report({
      ...figure,
      metric: "p50",
      value: own / p50("graphile-worker"),
      unit: "ratio",
      ratio_to: "graphile-worker",
    });
  }
}

/** A bus whose address is not set is left out, and said so. */
function listEntries(options: BenchOptions): readonly Entry[] {
  const buses: WakeBusName[] = ["postgres"];
  for (const [bus, address] of [
    ["redis", "REDIS_URL"],
    ["nats", "NATS_URL"],
  ] as const) {
    if (process.env[address]) buses.push(bus);
    else options.progress(`${address} is not set: pickup by ${bus} is not measured.`);
  }
  return [
    { contestant: bare, bus: "postgres", name: "bare LISTEN" },
    { contestant: graphile, bus: "postgres", name: "graphile-worker" },
    { contestant: boss, bus: "postgres", name: "pg-boss" },
    ...buses.map((bus) => ({ contestant: ours, bus, name: `ours, ${bus}` })),
  ];
}

/** All are idle beside each other, and one after the other gets a job: the machine's moods meet all alike. */
async function measureInTurn(entries: readonly Entry[], jobs: number): Promise<Map<Entry, number[]>> {
  const standing: Standing[] = [];
  try {
    for (const entry of entries) standing.push(await stand(entry, jobs + WARM_UP));
    const measured = new Map<Entry, number[]>(entries.map((entry) => [entry, []]));
    for (let job = 0; job < jobs + WARM_UP; job += 1) {
      for (const one of standing) {
        await sleep(IDLE_MS.least + Math.random() * IDLE_MS.more);
        const ms = await one.pickup();
        if (job >= WARM_UP) measured.get(one.entry)?.push(ms);
      }
    }
    return measured;
  } finally {
    for (const one of standing) await one.end();
  }
}

type Standing = {
  readonly entry: Entry;
  /** Enqueues one job and answers after how many milliseconds its handler started. */
  pickup(): Promise<number>;
  end(): Promise<void>;
};

async function stand(entry: Entry, jobs: number): Promise<Standing> {
  const { contestant, bus } = entry;
  const database = await createDatabase();
  let heard: (at: number) => void = () => {};
  await contestant.install(database.url);
  const tenants = Array.from({ length: jobs }, () => "default");
  const enqueuer = await contestant.openEnqueuer(database.url, { tenants, bus });
  const part = startPart(
    contestant,
    { url: database.url, mode: "serve", fetch: 1, jobMs: 0, tellStarts: true, bus },
    { started: (_, at) => heard(at) },
  );
  await part.ready;
  part.go();
  await sleep(SETTLE_DOWN_MS);
  return {
    entry,
    async pickup() {
      const started = new Promise<number>((resolve) => {
        heard = resolve;
      });
      const enqueuedAt = monotonicMs();
      await enqueuer.next();
      const late = sleep(MOST_WAIT_MS, null, { ref: false });
      const startedAt = await Promise.race([started, late, part.ended.then(() => null)]);
      if (startedAt === null) throw new Error(`${entry.name} did not start a job within ${MOST_WAIT_MS} ms.`);
      return startedAt - enqueuedAt;
    },
    async end() {
      part.kill();
      await enqueuer.close();
      await database.drop();
    },
  };
}
