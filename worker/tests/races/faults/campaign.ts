// A run of the fault suite: real workers under a workload, faults by plan, and the checker's word at the end.
import type postgres from "postgres";
import { sleep } from "../../../timing/durations.ts";
import { type Arena, LEASE_SECONDS, openArena, settings } from "./arena.ts";
import { check } from "./check.ts";
import type { Fleet } from "./fleet.ts";
import { type History, readHistory } from "./history.ts";
import { inject } from "./inject.ts";
import { describeLeftover, lastOf } from "./leftover.ts";
import { type Outcome, readOutcome } from "./outcome.ts";
import type { OwnPostgres } from "./own-postgres.ts";
import { inTime, patiently } from "./patience.ts";
import { type Fault, type FaultKind, lanes, type Plan } from "./plan.ts";
import { digestsOf } from "./undisturbed.ts";
import type { Violation } from "./violation.ts";
import type { Uploaded } from "./workload.ts";

export type Injected = {
  readonly fault: Fault;
  /** Milliseconds since 1970, as the history's. */
  readonly from: number;
  readonly to: number;
};

export type RunResult = {
  readonly injected: readonly Injected[];
  readonly violations: readonly Violation[];
  /** Workers that ended though nobody told them to, exit codes that were not 0 at the end, and what never ended. */
  readonly troubles: readonly string[];
  readonly history: History;
  readonly outcome: Outcome;
  readonly seconds: number;
};

export type Progress = {
  readonly injected: number;
  readonly planned: number;
  readonly uploads: number;
  readonly phase: "faults" | "quiet" | "undisturbed";
};

const TELL_MS = 10_000;
const QUIET_MS = 120_000;
// A worker that stops has its grace, one that starts on a very busy machine half a minute.
const FAULT_MS = 120_000;

export async function runFaults(
  plan: Plan,
  own: OwnPostgres,
  tell: (progress: Progress) => void = () => {},
): Promise<RunResult> {
  const startedAt = performance.now();
  const arena = await openArena(own, { seed: plan.seed });
  try {
    const { sql, fleet, workload } = arena;
    const injected: Injected[] = [];
    const told = (phase: Progress["phase"]) =>
      tell({
        injected: injected.length,
        planned: plan.faults.length,
        uploads: workload.uploads().length,
        phase,
      });
    const ticking = setInterval(() => told("faults"), TELL_MS);
    await injectAll(plan.faults, arena, injected).finally(() => clearInterval(ticking));
    await workload.stop();
    told("quiet");
    const endless = await untilQuiet(sql, fleet);
    await Promise.all(fleet.berths.map((berth) => berth.ready()));
    const ends = await fleet.stop();
    told("undisturbed");
    const uploads = await withDigests(workload.uploads(), own);
    const history = await readHistory(sql);
    const outcome = await readOutcome(sql, uploads);
    const violations = check(history, outcome, { leaseMs: LEASE_SECONDS * 1000 });
    return {
      injected,
      violations,
      troubles: [
        ...endless,
        ...violations.flatMap(({ rule, subject }) => (rule === "lost-job" ? [lastOf(history, subject)] : [])),
        ...fleet.crashes,
        ...ends.flatMap(({ code, says }) => (code === 0 ? [] : [`${says} at SIGTERM`])),
      ],
      history,
      outcome,
      seconds: (performance.now() - startedAt) / 1000,
    };
  } finally {
    await arena.close();
  }
}

/** Each lane's faults one after the other, the lanes side by side. */
export async function injectAll(
  faults: readonly Fault[],
  arena: Pick<Arena, "sql" | "fleet" | "server">,
  injected: Injected[],
  goOn: () => boolean = () => true,
): Promise<void> {
  await Promise.all(
    lanes.map(async (lane) => {
      for (const fault of faults) {
        if (fault.lane !== lane) continue;
        await sleep(fault.afterMs);
        if (!goOn()) return;
        const from = Date.now();
        await inTime(FAULT_MS, `Fault ${fault.number} (${fault.kind}) was not over`, inject(fault, arena));
        injected.push({ fault, from, to: Date.now() });
      }
    }),
  );
}

/** Nothing is disturbed any more: every job comes to its end. Delayed ones need not wait for their time. */
async function untilQuiet(sql: postgres.Sql, fleet: Fleet): Promise<readonly string[]> {
  for (const berth of fleet.berths) berth.proxy.heal();
  const until = performance.now() + QUIET_MS;
  for (;;) {
    const [row] = await patiently(
      () => sql`select count(*)::int as jobs from public.rag_ingestion_queue
        where status in ('queued', 'processing')`,
    );
    const left = Number(row?.jobs);
    if (left === 0) return [];
    if (performance.now() > until)
      return [
        `${left} jobs did not end within ${QUIET_MS / 1000} s of quiet`,
        ...(await describeLeftover(sql)),
      ];
    await patiently(
      () => sql`update public.rag_ingestion_queue set run_at = now()
        where status = 'queued' and run_at > now()`,
    );
    await sleep(500);
  }
}

async function withDigests(uploads: readonly Uploaded[], own: OwnPostgres) {
  const whole = uploads.filter((upload) => upload.fate !== "poison").map((upload) => upload.content);
  const digests = await digestsOf(whole, own, settings);
  return uploads.map(({ content, ...upload }) => ({ ...upload, digest: digests.get(content.key) ?? null }));
}

export type Tally = { readonly kind: FaultKind; readonly injected: number; readonly violations: number };

// What a fault brings about may show a little later.
const AFTERMATH_MS = 2 * LEASE_SECONDS * 1000;

/** Per kind; a violation counts for each kind that was under way, or just over, when it happened. */
export function tallyOf(result: RunResult): readonly Tally[] {
  const kinds = [...new Set(result.injected.map(({ fault }) => fault.kind))].sort();
  const times = new Map(result.history.map((entry) => [entry.seq, entry.at]));
  return kinds.map((kind) => {
    const of = result.injected.filter(({ fault }) => fault.kind === kind);
    const near = result.violations.filter((violation) => {
      const at = violation.seq === null ? undefined : times.get(violation.seq);
      return at === undefined || of.some(({ from, to }) => at >= from && at <= to + AFTERMATH_MS);
    });
    return { kind, injected: of.length, violations: near.length };
  });
}
