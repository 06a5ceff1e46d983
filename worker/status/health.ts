// What is wrong, if anything, in sentences: one check a part, and the worst of them is the whole.
// ok: nothing to do. degraded: it works, and somebody should know. down: no document gets through.
import type { Activity } from "../activity/activity.ts";
import type { OwnServer } from "../embedders/embedder.ts";
import type { PacingState } from "../embedders/pacing/pacer.ts";
import { catalogue, type FailureCode } from "../failure/catalogue.ts";
import type { WorkerState } from "../queue/worker-state.ts";
import { inWords } from "../timing/durations.ts";
import { judgeHorizon } from "./horizon.ts";
import type { FiguresAnswer, QueueFigures } from "./queue-figures.ts";

export type HealthStatus = "ok" | "degraded" | "down";
export type Check = { readonly status: HealthStatus; readonly says: string };
export type Checks = Readonly<
  Record<"database" | "horizon" | "leases" | "provider" | "configuration" | "memory" | "budget", Check>
>;

/** The claim loop rests ten seconds at most. */
export const LOOP_STANDS_STILL_MS = 60_000;
// A renewal that came late is told for so long; by then its jobs are either kept or taken over.
const LATE_IS_NEWS_MS = 5 * 60_000;

/** What the events said last of things that no state shows. */
export type Recent = {
  readonly provider: { readonly code: string | null; readonly at: number } | null;
  readonly leasesLate: { readonly lateMs: number; readonly at: number } | null;
};

export function watchRecent(activity: Activity): { recent(): Recent; stop(): void } {
  let recent: Recent = { provider: null, leasesLate: null };
  const stop = activity.listen((name, facts) => {
    const at = performance.now();
    if (name === "embeddings.received") recent = { ...recent, provider: { code: null, at } };
    if (name === "embeddings.failed" && "code" in facts)
      recent = { ...recent, provider: { code: facts.code, at } };
    if (name === "leases.late" && "lateMs" in facts)
      recent = { ...recent, leasesLate: { lateMs: facts.lateMs, at } };
  });
  return { recent: () => recent, stop };
}

export type HealthInput = {
  readonly state: WorkerState;
  readonly queue: FiguresAnswer<Pick<QueueFigures, "dead_rows" | "oldest_snapshot" | "today">>;
  readonly recent: Recent;
  /** The server that the embedder starts by itself; null where there is none. */
  readonly server?: OwnServer | null;
  readonly rssBytes: number;
  readonly memoryBytes: number;
  readonly budgetUsd: number | null;
  /** On performance.now()'s clock. */
  readonly now: number;
};

export function checkHealth(input: HealthInput): { readonly status: HealthStatus; readonly checks: Checks } {
  const checks: Checks = {
    database: checkDatabase(input),
    horizon: checkHorizon(input),
    leases: checkLeases(input),
    provider: checkProvider(input),
    configuration: checkConfiguration(input.state),
    memory: checkMemory(input),
    budget: checkBudget(input),
  };
  return { status: worstOf([checkLoop(input.state), ...Object.values(checks)]), checks };
}

/** Whether the claim loop turns; /live is this check alone. */
export function checkLoop(state: WorkerState): Check {
  if (state.condition === "stopped") return down("The worker has stopped.");
  if (state.loopAgeMs > LOOP_STANDS_STILL_MS)
    return down(`The claim loop has stood still for ${inWords(state.loopAgeMs)}. Restart the worker.`);
  if (state.condition === "starting") return degraded("The worker is starting.");
  if (state.condition === "stopping") return degraded("The worker is stopping and takes no new jobs.");
  return ok("The claim loop turns.");
}

function checkDatabase({ state, queue }: HealthInput): Check {
  if (state.condition === "database-lost")
    return down(state.advice ?? "The database cannot be reached. The worker tries again by itself.");
  if (queue.trouble === "timeout")
    return degraded("The database did not answer within a second; the figures may be old.");
  if (queue.trouble !== null)
    return degraded(`The figures could not be read. ${operatorSays(queue.trouble)}`);
  return ok("The database answers.");
}

function checkHorizon({ queue }: HealthInput): Check {
  // Old figures would go on accusing a session that has ended.
  if (queue.figures === null || queue.trouble !== null) return ok("Not known just now.");
  const { held, says } = judgeHorizon(queue.figures);
  return held ? degraded(says) : ok(says);
}

function checkLeases({ state, recent, now }: HealthInput): Check {
  const late = recent.leasesLate;
  if (late !== null && now - late.at < LATE_IS_NEWS_MS)
    return degraded(
      `Leases were renewed ${inWords(late.lateMs)} late, so jobs may have been taken over. Is this machine overloaded?`,
    );
  if (state.leaseAgeMs === null) return ok("No lease had to be renewed yet.");
  return ok(`Leases were renewed ${inWords(state.leaseAgeMs)} ago.`);
}

function checkProvider({ recent, server, state }: HealthInput): Check {
  if (server?.state === "failed")
    return degraded(`llama-server does not run. ${server.says ?? ""} ${operatorSays(server.code ?? "")}`);
  const held = state.pacing === undefined ? null : heldInWords(state.pacing);
  if (held !== null) return degraded(held);
  if (recent.provider === null) return ok("No text had to be embedded yet.");
  if (recent.provider.code === null) return ok("The last texts were embedded.");
  return degraded(`The last embedding request failed. ${operatorSays(recent.provider.code)}`);
}

/** Why the provider is sent nothing just now; null while it is, at whatever pace. */
function heldInWords({ limited, waitMs }: PacingState): string | null {
  const next = `The next request goes in ${inWords(waitMs)}.`;
  if (limited === "circuit") return `${operatorSays("embed.circuit-open")} ${next}`;
  if (limited === "asked-to-wait" && waitMs > 1000) return `${operatorSays("embed.rate-limited")} ${next}`;
  return null;
}

function checkConfiguration(state: WorkerState): Check {
  if (state.condition !== "misconfigured") return ok("The configuration works.");
  return down(state.advice ?? "No document can succeed with this configuration. Run: npm run rag -- doctor.");
}

function checkMemory({ rssBytes, memoryBytes }: HealthInput): Check {
  const figures = `${inMegabytes(rssBytes)} of ${inMegabytes(memoryBytes)} in use`;
  if (rssBytes <= memoryBytes) return ok(`${figures}.`);
  return degraded(`${figures}: no new job is taken while others are at work. See RAG_MEMORY_LIMIT_MB.`);
}

function checkBudget({ queue, budgetUsd }: HealthInput): Check {
  if (budgetUsd === null) return ok("No daily budget is set.");
  if (queue.figures === null) return ok("Not known just now.");
  const spent = queue.figures.today.cost_usd;
  const figures = `$${spent.toFixed(2)} of today's $${budgetUsd.toFixed(2)} is spent`;
  if (spent < budgetUsd) return ok(`${figures}.`);
  return degraded(`${figures}: paid work waits for the next day (UTC). See RAG_DAILY_BUDGET_USD.`);
}

/** The catalogue's sentence for the operator, with the code to search for. */
export function operatorSays(code: string): string {
  return code in catalogue ? `${catalogue[code as FailureCode].operator} [${code}]` : `[${code}]`;
}

function worstOf(checks: readonly Check[]): HealthStatus {
  if (checks.some((check) => check.status === "down")) return "down";
  return checks.some((check) => check.status === "degraded") ? "degraded" : "ok";
}

const ok = (says: string): Check => ({ status: "ok", says });
const degraded = (says: string): Check => ({ status: "degraded", says });
const down = (says: string): Check => ({ status: "down", says });
const inMegabytes = (bytes: number) => `${Math.round(bytes / 1024 / 1024)} MB`;
