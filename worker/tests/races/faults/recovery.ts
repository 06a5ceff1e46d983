// How soon, and how gently, the queue gets over what happens to a worker: measured from the history of a run.
import { sleep } from "../../../timing/durations.ts";
import { actOf } from "./acts.ts";
import { openArena } from "./arena.ts";
import { preload } from "./block-on-signal.ts";
import { check } from "./check.ts";
import { type History, type JobEntry, readHistory } from "./history.ts";
import type { OwnPostgres } from "./own-postgres.ts";
import type { Violation } from "./violation.ts";

// A busy machine needs half a minute to start twenty workers, a very busy one minutes.
const WAIT_MS = 180_000;
const LOOK_MS = 25;

/** Few jobs, many free slots and a slow provider: what is lost is in mid-run, and somebody could take it at once. */
const atEase = { latencyMs: 1500, work: { backlog: 12, pauseMs: 30, mostChunks: 40, calm: true } };

export type Reclaims = {
  /** Milliseconds from SIGKILL until the job was back in the queue, one a job that the victim held. */
  readonly rescueMs: readonly number[];
  /** Milliseconds from SIGKILL to the claim by another worker. */
  readonly reclaimMs: readonly number[];
  /** Jobs that nobody had claimed when the measurement ended. */
  readonly never: number;
  readonly violations: readonly Violation[];
};

/** Kills workers in turn, `kills` times. Jobs that crashed before wait by design and do not count. */
export async function measureReclaim(
  own: OwnPostgres,
  berth: "session" | "pgbouncer",
  leaseSeconds: number,
  kills: number,
  tell: (kills: number) => void,
): Promise<Reclaims> {
  const arena = await openArena(own, {
    seed: 1,
    berths: [berth, berth, berth],
    environment: { RAG_LEASE_SECONDS: String(leaseSeconds), RAG_JOB_CONCURRENCY: "16" },
    ...atEase,
  });
  try {
    const deaths: { readonly worker: string; readonly at: number }[] = [];
    for (let kill = 0; kill < kills; kill += 1) {
      const { berths } = arena.fleet;
      const victim = berths[kill % berths.length];
      if (victim === undefined) throw new Error("There is no worker to kill.");
      const holds = async () => {
        const [row] = await arena.sql`select count(*)::int as jobs from public.rag_ingestion_queue
          where status = 'processing' and attempts = 1 and worker_id like ${`${victim.worker().id}/%`}`;
        return Number(row?.jobs) > 0;
      };
      await waitFor(async () => berths.every((one) => one.works()) && (await holds()));
      const worker = victim.worker().id;
      const replaced = victim.replace("SIGKILL", () => sleep(0));
      deaths.push({ worker, at: Date.now() });
      await replaced;
      tell(kill + 1);
    }
    await arena.workload.stop();
    await sleep((leaseSeconds + 3) * 1000);
    const history = await readHistory(arena.sql);
    return {
      ...reclaimsIn(history, deaths),
      violations: check(history, null, { leaseMs: leaseSeconds * 1000 }),
    };
  } finally {
    await arena.close();
  }
}

function reclaimsIn(history: History, deaths: readonly { readonly worker: string; readonly at: number }[]) {
  const jobs = history.filter((entry) => entry.kind === "job");
  const rescueMs: number[] = [];
  const reclaimMs: number[] = [];
  let never = 0;
  for (const { worker, at } of deaths) {
    const heldBy = (entry: JobEntry) =>
      entry.to === "processing" && entry.to_worker?.startsWith(`${worker}/`) === true;
    for (const claim of jobs.filter((entry) => heldBy(entry) && entry.at <= at && entry.to_attempts === 1)) {
      const later = jobs.filter((entry) => entry.job_id === claim.job_id && entry.seq > claim.seq);
      const [next, again] = later;
      // Settled, cancelled or reset before or beside the death: nobody had to rescue it.
      if (next !== undefined && actOf(next) !== "rescue") continue;
      if (next !== undefined) rescueMs.push(next.at - at);
      if (again === undefined) never += 1;
      else reclaimMs.push(again.at - at);
    }
  }
  return { rescueMs, reclaimMs, never };
}

export type Blocked = {
  /** How often a main thread stood still while its worker held jobs. */
  readonly runs: number;
  readonly falseRescues: number;
};

/** Blocks the main threads of `workers` workers for three leases, all at once, `rounds` times. */
export async function measureBlocked(
  own: OwnPostgres,
  workers: number,
  rounds: number,
  busy: boolean,
  tell: (round: number) => void,
): Promise<Blocked> {
  const leaseSeconds = 2;
  const blockMs = 3 * leaseSeconds * 1000;
  const arena = await openArena(own, {
    seed: 2,
    berths: Array<"session">(workers).fill("session"),
    environment: {
      RAG_LEASE_SECONDS: String(leaseSeconds),
      RAG_JOB_CONCURRENCY: "2",
      RAG_POOL_MAX: "2",
      NODE_OPTIONS: preload,
      RAG_BLOCK_MS: String(blockMs),
      ...(busy && { RAG_BLOCK_BUSY: "1" }),
    },
    latencyMs: 1500,
    work: { backlog: 2 * workers, pauseMs: 10, mostChunks: 40, calm: true },
  });
  try {
    let runs = 0;
    for (let round = 1; round <= rounds; round += 1) {
      const holders = async () =>
        await arena.sql`select distinct split_part(worker_id, '/', 1) as id
          from public.rag_ingestion_queue where status = 'processing'`;
      await waitFor(async () => (await holders()).length >= workers * 0.8);
      const holding = new Set((await holders()).map((row) => String(row.id)));
      for (const berth of arena.fleet.berths) {
        if (!holding.has(berth.worker().id)) continue;
        berth.worker().signal("SIGUSR2");
        runs += 1;
      }
      await sleep(blockMs + 500);
      tell(round);
    }
    const history = await readHistory(arena.sql);
    // Nobody died: every rescue robbed the living.
    const rescues = history.filter((entry) => entry.kind === "job" && actOf(entry) === "rescue");
    if (arena.fleet.crashes.length > 0) throw new Error(arena.fleet.crashes.join("\n"));
    return { runs, falseRescues: rescues.length };
  } finally {
    await arena.close();
  }
}

export type Stops = {
  readonly stops: number;
  /** Rows still processing when every worker had ended. */
  readonly leftProcessing: number;
  /** Waiting rows whose attempts say that a stop cost them one. */
  readonly attemptsSpent: number;
  /** Jobs that were at work when the signal came. */
  readonly atWork: number;
  /** Milliseconds from SIGTERM to exit. */
  readonly stopMs: readonly number[];
  readonly exitCodes: readonly (number | string)[];
};

/** Stops all workers at once with a grace of four seconds while each is full of work, `rounds` times. */
export async function measureStops(
  own: OwnPostgres,
  rounds: number,
  tell: (round: number) => void,
): Promise<Stops> {
  const arena = await openArena(own, {
    seed: 3,
    environment: { RAG_LEASE_SECONDS: "60" },
    latencyMs: 2500,
    work: { backlog: 40, pauseMs: 10, mostChunks: 40, calm: true },
  });
  try {
    const { berths } = arena.fleet;
    const total = { leftProcessing: 0, attemptsSpent: 0, atWork: 0 };
    const stopMs: number[] = [];
    const exitCodes: (number | string)[] = [];
    const count = async () => {
      const [row] = await arena.sql`
        select count(*) filter (where status = 'processing')::int as processing,
          count(*) filter (where status = 'queued' and attempts > 0)::int as spent
        from public.rag_ingestion_queue`;
      return { processing: Number(row?.processing), spent: Number(row?.spent) };
    };
    for (let round = 1; round <= rounds; round += 1) {
      await waitFor(
        async () => berths.every((berth) => berth.works()) && (await count()).processing >= 3 * berths.length,
      );
      total.atWork += (await count()).processing;
      const since = performance.now();
      let left = berths.length;
      const all = Promise.withResolvers<void>();
      const codes = berths.map((berth) =>
        berth.replace("SIGTERM", async () => {
          stopMs.push(performance.now() - since);
          left -= 1;
          if (left === 0) {
            const { processing, spent } = await count();
            total.leftProcessing += processing;
            total.attemptsSpent += spent;
            all.resolve();
          }
          await all.promise;
        }),
      );
      exitCodes.push(...(await Promise.all(codes)));
      tell(round);
    }
    return { stops: rounds * berths.length, ...total, stopMs, exitCodes };
  } finally {
    await arena.close();
  }
}

async function waitFor(holds: () => Promise<boolean>): Promise<void> {
  const until = performance.now() + WAIT_MS;
  while (!(await holds())) {
    if (performance.now() > until) throw new Error("The workers did not come to work in time.");
    await sleep(LOOK_MS);
  }
}
