// Recovery times: from SIGKILL to the next claim of the same job, a main thread that stands still, and SIGTERM
// with little grace under load.
import type { OwnPostgres } from "../../worker/tests/races/faults/own-postgres.ts";
import { measureBlocked, measureReclaim, measureStops } from "../../worker/tests/races/faults/recovery.ts";
import { quantile } from "./contestants/quantiles.ts";
import type { BenchOptions, Report } from "./figure.ts";

// A session's death must be noticed however long its lease is; behind a pooler only the lease tells.
const LEGS = [
  { berth: "session", leaseSeconds: 20 },
  { berth: "pgbouncer", leaseSeconds: 2 },
] as const;
const KILLS = 40;
const WORKERS = 20;
const ROUNDS = 10;

export async function benchReclaim(own: OwnPostgres, report: Report, options: BenchOptions): Promise<void> {
  const kills = options.rounds ?? KILLS;
  for (const { berth, leaseSeconds } of LEGS) {
    const { rescueMs, reclaimMs, never, violations } = await measureReclaim(
      own,
      berth,
      leaseSeconds,
      kills,
      (done) => options.progress(`${berth}: ${done} of ${kills} workers killed`),
    );
    const say = (metric: string, value: number, unit = "") =>
      report({
        bench: "faults",
        case: `SIGKILL, lease ${leaseSeconds} s`,
        contestant: berth,
        metric,
        value,
        unit,
      });
    say("jobs", reclaimMs.length);
    say("rescue p50", quantile(rescueMs, 0.5), "ms");
    say("rescue p99", quantile(rescueMs, 0.99), "ms");
    say("reclaim p50", quantile(reclaimMs, 0.5), "ms");
    say("reclaim p99", quantile(reclaimMs, 0.99), "ms");
    say("never", never);
    say("violations", violations.length);
  }
}

export async function benchBlocked(own: OwnPostgres, report: Report, options: BenchOptions): Promise<void> {
  const rounds = Math.max(1, Math.ceil((options.rounds ?? ROUNDS) / 2));
  for (const busy of [false, true]) {
    const name = busy ? "busy" : "asleep";
    const { runs, falseRescues } = await measureBlocked(own, WORKERS, rounds, busy, (round) =>
      options.progress(`main threads ${name}: round ${round} of ${rounds}`),
    );
    const say = (metric: string, value: number) =>
      report({ bench: "faults", case: "blocked for 3 leases", contestant: name, metric, value, unit: "" });
    say("runs", runs);
    say("at once", WORKERS);
    say("false rescues", falseRescues);
  }
}

export async function benchStops(own: OwnPostgres, report: Report, options: BenchOptions): Promise<void> {
  const rounds = options.rounds ?? ROUNDS;
  const measured = await measureStops(own, rounds, (round) =>
    options.progress(`SIGTERM: round ${round} of ${rounds}`),
  );
  const say = (metric: string, value: number, unit = "") =>
    report({ bench: "faults", case: "SIGTERM, grace 4 s", contestant: "all", metric, value, unit });
  say("stops", measured.stops);
  say("jobs at work", measured.atWork);
  say("left processing", measured.leftProcessing);
  say("attempts spent", measured.attemptsSpent);
  say("exit codes not 0", measured.exitCodes.filter((code) => code !== 0).length);
  say("stop p50", quantile(measured.stopMs, 0.5), "ms");
  say("stop worst", Math.max(...measured.stopMs), "ms");
}
