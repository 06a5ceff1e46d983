// The fault suite as long as one likes, and how soon the queue gets over a death, a standstill and a stop.
// It starts a Postgres and a PgBouncer of its own, for it restarts them: needs root and `scripts/services up` once.
import { writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { LEASE_SECONDS } from "../../worker/tests/races/faults/arena.ts";
import { type RunResult, runFaults, tallyOf } from "../../worker/tests/races/faults/campaign.ts";
import {
  hasOwnPostgres,
  type OwnPostgres,
  startOwnPostgres,
} from "../../worker/tests/races/faults/own-postgres.ts";
import { type FaultKind, faultKinds, planFaults } from "../../worker/tests/races/faults/plan.ts";
import { benchBlocked, benchReclaim, benchStops } from "./faults-recovery.ts";
import { asked, type BenchOptions, type Report } from "./figure.ts";

const FAULTS = 320;
const SHOWN = 20;

type Part = {
  readonly name: string;
  run(own: OwnPostgres, report: Report, options: BenchOptions): Promise<void>;
};

const parts: readonly Part[] = [
  { name: "faults", run: benchCampaign },
  { name: "reclaim", run: benchReclaim },
  { name: "blocked", run: benchBlocked },
  { name: "stops", run: benchStops },
];

export async function benchFaults(report: Report, options: BenchOptions): Promise<void> {
  if (!hasOwnPostgres())
    throw new Error("The fault suite needs root and the servers of `scripts/services up`.");
  const own = await startOwnPostgres();
  try {
    for (const part of asked(parts, options)) await part.run(own, report, options);
  } finally {
    await own.close();
  }
}

async function benchCampaign(own: OwnPostgres, report: Report, options: BenchOptions): Promise<void> {
  const { faults, seed, kinds } = askedFaults();
  options.progress(`${faults} faults, seed ${seed}`);
  const plan = planFaults(seed, faults, LEASE_SECONDS * 1000, kinds);
  const result = await runFaults(plan, own, ({ injected, planned, uploads, phase }) =>
    options.progress(`${phase}: ${injected} of ${planned} faults, ${uploads} uploads`),
  );
  const say = (name: string, metric: string, value: number, unit = "") =>
    report({ bench: "faults", case: name, contestant: `seed ${seed}`, metric, value, unit });
  for (const tally of tallyOf(result)) {
    say(tally.kind, "injected", tally.injected);
    say(tally.kind, "violations", tally.violations);
  }
  const ended = (status: string) => result.outcome.jobs.filter((row) => row.status === status).length;
  for (const status of ["complete", "cancelled", "failed", "queued", "processing"])
    say("all", `jobs ${status}`, ended(status));
  say("all", "injected", result.injected.length);
  say("all", "violations", result.violations.length);
  say("all", "troubles", result.troubles.length);
  say("all", "duration", result.seconds, "s");
  if (result.violations.length + result.troubles.length > 0) await tellOf(result, seed, options);
}

async function tellOf(result: RunResult, seed: number, options: BenchOptions): Promise<void> {
  process.exitCode = 1;
  for (const { rule, subject, says, seq } of result.violations.slice(0, SHOWN))
    options.progress(`${rule} ${subject} (entry ${seq ?? "none"}): ${says}`);
  for (const trouble of result.troubles.slice(0, SHOWN)) options.progress(trouble);
  const file = join(tmpdir(), `rag-faults-${seed}.json`);
  await writeFile(file, JSON.stringify(result));
  options.progress(`The whole run is in ${file}.`);
}

function askedFaults() {
  const { values } = parseArgs({
    strict: false,
    allowPositionals: true,
    options: { faults: { type: "string" }, seed: { type: "string" }, kinds: { type: "string" } },
  });
  const kinds = typeof values.kinds === "string" ? values.kinds.split(",") : faultKinds;
  const unknown = kinds.filter((kind) => !faultKinds.some((known) => known === kind));
  if (unknown.length > 0)
    throw new Error(`No fault is called ${unknown.join(", ")}. Known: ${faultKinds.join(", ")}.`);
  const number = (value: unknown, fallback: number, name: string) => {
    const given = value === undefined ? fallback : Number(value);
    if (!Number.isInteger(given) || given < 1) throw new Error(`--${name} takes a whole number above zero.`);
    return given;
  };
  return {
    faults: number(values.faults, FAULTS, "faults"),
    seed: number(values.seed, 1 + (Date.now() % 1_000_000), "seed"),
    kinds: kinds as readonly FaultKind[], // SAFETY: the unknown ones were refused.
  };
}
