// The claim loop: takes jobs into free slots, runs them, settles each once, and stops in named phases.
// Polling is the truth; a wake-up only shortens the wait.
import type { Activity } from "../activity/activity.ts";
import type { Job } from "../document/lease.ts";
import type { Outcome } from "../document/outcome.ts";
import type { SqlCall } from "../document/sql-call.ts";
import { adviseOperator } from "../failure/describe.ts";
import { Failure } from "../failure/failure.ts";
import { failureFromUnknown } from "../failure/from-unknown.ts";
import type { RunJob } from "../pipeline/run-job.ts";
import { backoffMs } from "../timing/backoff.ts";
import { sleep } from "../timing/durations.ts";
import { type ClaimOptions, claimJobs } from "./claim.ts";
import type { LeaseKeeper } from "./lease-keeper.ts";
import { failUnreadable, type Settled, settle } from "./settle.ts";
import type { RunningWorker, WorkerCondition, WorkerState, WorkerSummary } from "./worker-state.ts";

export type WorkerParts = {
  readonly call: SqlCall;
  readonly activity: Activity;
  readonly run: RunJob;
  readonly keeper: LeaseKeeper;
};

export type WorkerLimits = ClaimOptions & {
  readonly slots: number;
  /** Longest pause between two looks at an empty queue. */
  readonly idleMs: number;
  readonly graceMs: number;
  readonly memoryBytes: number;
  readonly once: boolean;
};

// The first pause after the queue ran empty; it doubles up to idleMs.
const FIRST_IDLE_MS = 200;
// How long a worker that is misconfigured waits before one job shows whether it still is.
const MISCONFIGURED = { firstMs: 10_000, mostMs: 300_000 };
const DATABASE_LOST = { firstMs: 1000, mostMs: 10_000 };
const SETTLE_AGAIN = { firstMs: 500, mostMs: 5000 };
// With `once` nobody waits for an operator: the run ends with the failure instead.
const MOST_TROUBLES_ONCE = 3;
const LATE_CLAIM_MS = 1000;
const TURN_MS = 10_000;
// Of the grace time: jobs may finish by themselves for this share, the rest is for releasing them.
const FINISH_SHARE = 0.5;

type Underway = {
  readonly job: Job;
  readonly claimedAt: number;
  readonly abort: AbortController;
  ended: Promise<void>;
};

export function startWorker(parts: WorkerParts, limits: WorkerLimits): RunningWorker {
  const worker = new ClaimLoop(parts, limits);
  const ended = worker.loop();
  // Whoever never asks for `ended` must not be told by an unhandled rejection.
  ended.catch(() => {});
  return {
    state: () => worker.state(),
    ended,
    wake: () => worker.wake(),
    async stop(reason) {
      await worker.stop(reason);
      await ended.catch(() => {});
    },
  };
}

class ClaimLoop {
  readonly #parts: WorkerParts;
  readonly #limits: WorkerLimits;
  readonly #underway = new Set<Underway>();
  readonly #counts: Record<Settled, number> = { completed: 0, failed: 0, retried: 0, released: 0, lost: 0 };
  readonly #startedAt = performance.now();
  readonly #stopping = new AbortController();
  #pause = new AbortController();
  #loopedAt = performance.now();
  #condition: WorkerCondition = "working";
  #failure: Failure | null = null;
  #troubledAt = 0;
  #troubles = 0;
  #drained: Promise<void> | null = null;

  constructor(parts: WorkerParts, limits: WorkerLimits) {
    this.#parts = parts;
    this.#limits = limits;
  }

  state(): WorkerState {
    return {
      workerId: this.#limits.workerId,
      condition: this.#condition,
      code: this.#failure?.code ?? null,
      advice: this.#failure && adviseOperator(this.#failure),
      jobs: this.#underway.size,
      slots: this.#limits.slots,
      loopAgeMs: performance.now() - this.#loopedAt,
      leaseAgeMs: this.#parts.keeper.leaseAgeMs(),
    };
  }

  wake(): void {
    this.#pause.abort();
  }

  async loop(): Promise<WorkerSummary> {
    let idleMs = FIRST_IDLE_MS;
    while (!this.#stopping.signal.aborted) {
      this.#loopedAt = performance.now();
      const free = this.#freeSlots();
      const claimed = free > 0 ? await this.#claim(free) : 0;
      if (claimed > 0) idleMs = FIRST_IDLE_MS;
      if (claimed === 0 && free > 0 && this.#condition === "working") {
        if (this.#limits.once && this.#underway.size === 0) break;
        await this.#rest(idleMs * (0.8 + Math.random() * 0.4));
        idleMs = Math.min(idleMs * 2, this.#limits.idleMs);
      } else if (this.#limits.once && this.#failure !== null && this.#troubles >= MOST_TROUBLES_ONCE) {
        throw this.#failure;
      } else if (this.#freeSlots() === 0 || this.#condition !== "working") {
        await this.#rest(this.#troublePauseMs());
      }
    }
    await this.#drained;
    // A claim that was under way when we stopped may have brought jobs after the drain; they are released.
    await this.#endOfAll(LATE_CLAIM_MS);
    this.#condition = "stopped";
    return { ...this.#counts, seconds: (performance.now() - this.#startedAt) / 1000 };
  }

  async stop(reason: string): Promise<void> {
    if (this.#drained === null) {
      this.#drained = this.#drain(reason);
      this.#stopping.abort();
      this.#pause.abort();
    }
    await this.#drained;
  }

  #freeSlots(): number {
    if (process.memoryUsage.rss() > this.#limits.memoryBytes && this.#underway.size > 0) return 0;
    // One job is enough to find out whether the trouble is over.
    const slots = this.#condition === "misconfigured" ? 1 : this.#limits.slots;
    return Math.max(0, slots - this.#underway.size);
  }

  async #claim(slots: number): Promise<number> {
    try {
      const { jobs, unreadable } = await claimJobs(this.#parts.call, slots, this.#limits);
      if (this.#condition === "database-lost") this.#recover();
      for (const job of jobs) this.#start(job);
      for (const { lease } of unreadable) await failUnreadable(this.#parts.call, this.#parts.activity, lease);
      return jobs.length + unreadable.length;
    } catch (thrown) {
      this.#trouble(failureFromUnknown(thrown));
      return 0;
    }
  }

  /** Waits, but not longer than until a job ends, somebody wakes us, or we are told to stop. */
  async #rest(ms: number): Promise<void> {
    this.#pause = new AbortController();
    if (this.#stopping.signal.aborted) return;
    const until = performance.now() + ms;
    while (!this.#pause.signal.aborted && performance.now() < until) {
      // The loop turns at least this often, so that /live can tell a pause from a standstill.
      this.#loopedAt = performance.now();
      await sleep(Math.min(until - performance.now(), TURN_MS), this.#pause.signal);
    }
  }

  #start(job: Job): void {
    const underway: Underway = {
      job,
      claimedAt: performance.now(),
      abort: new AbortController(),
      ended: Promise.resolve(),
    };
    this.#underway.add(underway);
    this.#parts.keeper.hold(job.lease, () => underway.abort.abort(new Failure("job.lease-lost")));
    this.#parts.activity.say("job.claimed", {
      jobId: job.id,
      documentId: job.document?.id ?? null,
      kind: job.kind,
      attempt: job.attempt,
      documentKind: job.document?.kind ?? null,
      title: job.document?.title ?? null,
      version: job.document?.version ?? null,
    });
    if (this.#stopping.signal.aborted) underway.abort.abort(new Failure("worker.stopping"));
    underway.ended = this.#finish(underway);
  }

  async #finish(underway: Underway): Promise<void> {
    const outcome = await this.#parts.run(underway.job, underway.abort.signal);
    if (outcome.kind === "release" && outcome.failure.kind === "misconfigured")
      this.#trouble(outcome.failure);
    else if (outcome.kind !== "lost" && this.#condition === "misconfigured") this.#recover();
    const settled = await this.#settle(underway, outcome);
    this.#parts.keeper.drop(underway.job.lease);
    this.#counts[settled] += 1;
    this.#underway.delete(underway);
    this.#pause.abort();
  }

  /** Goes on trying while the database is away, until our grace ends; after that the reaper has the job. */
  async #settle(underway: Underway, outcome: Outcome): Promise<Settled> {
    const { call, activity } = this.#parts;
    const { job, claimedAt, abort } = underway;
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await settle(call, activity, job, outcome, Math.round(performance.now() - claimedAt));
      } catch (thrown) {
        const failure = failureFromUnknown(thrown);
        this.#trouble(failure);
        const reason: unknown = abort.signal.reason;
        const gone = reason instanceof Failure && reason.kind === "lease-lost";
        if (gone || this.#stopping.signal.aborted || attempt >= 100) return "lost";
        await sleep(backoffMs(attempt, SETTLE_AGAIN), this.#stopping.signal);
      }
    }
  }

  #trouble(failure: Failure): void {
    const condition: WorkerCondition = failure.kind === "misconfigured" ? "misconfigured" : "database-lost";
    const fresh = this.#condition === "working";
    this.#troubles += 1;
    if (this.#condition === "stopping") return;
    this.#condition = condition;
    this.#failure = failure;
    if (!fresh) return;
    this.#troubledAt = performance.now();
    const said = { code: failure.code, advice: adviseOperator(failure) };
    this.#parts.activity.say(condition === "misconfigured" ? "worker.misconfigured" : "database.lost", said);
  }

  #recover(): void {
    const afterMs = Math.round(performance.now() - this.#troubledAt);
    this.#parts.activity.say(this.#condition === "misconfigured" ? "worker.recovered" : "database.regained", {
      afterMs,
    });
    this.#condition = "working";
    this.#failure = null;
    this.#troubles = 0;
  }

  #troublePauseMs(): number {
    if (this.#condition === "misconfigured") return Math.max(2000, backoffMs(this.#troubles, MISCONFIGURED));
    if (this.#condition === "database-lost") return Math.max(250, backoffMs(this.#troubles, DATABASE_LOST));
    return this.#limits.idleMs;
  }

  /** Stop claiming; finish or release. What is not settled by then is the reaper's. */
  async #drain(reason: string): Promise<void> {
    const startedAt = performance.now();
    this.#condition = "stopping";
    this.#parts.activity.say("worker.stopping", { signal: reason, jobs: this.#underway.size });
    const left = () => Math.max(0, this.#limits.graceMs - (performance.now() - startedAt));
    await this.#endOfAll(this.#limits.graceMs * FINISH_SHARE);
    for (const underway of this.#underway) underway.abort.abort(new Failure("worker.stopping"));
    await this.#endOfAll(left());
    const seconds = (performance.now() - startedAt) / 1000;
    this.#parts.activity.say("worker.stopped", { released: this.#counts.released, seconds });
  }

  async #endOfAll(limitMs: number): Promise<void> {
    const waited = new AbortController();
    const all = async () => {
      // A claim under way when we stopped may still add jobs.
      while (this.#underway.size > 0) await Promise.all([...this.#underway].map((one) => one.ended));
    };
    await Promise.race([all(), sleep(limitMs, waited.signal)]);
    waited.abort();
  }
}
