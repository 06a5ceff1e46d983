// The claim loop: takes jobs into free slots, runs them, settles each once, and stops in named phases.
// Polling is the truth; a wake-up only shortens the wait. One exchange with the database carries all that has ended
// since the last and brings what is ready: the busier the queue, the more jobs share a transaction. While batches come
// back full a second lane exchanges beside the first, so that neither the database nor we wait for the other.
import type { Activity } from "../activity/activity.ts";
import type { Outcome } from "../document/outcome.ts";
import type { SqlCall } from "../document/sql-call.ts";
import { Failure } from "../failure/failure.ts";
import { failureFromUnknown } from "../failure/from-unknown.ts";
import type { RunJob } from "../pipeline/run-job.ts";
import { sleep } from "../timing/durations.ts";
import type { ClaimOptions } from "./claim.ts";
import { type Exchanged, exchange } from "./exchange.ts";
import type { HintSource } from "./hint-source.ts";
import { keepLeases } from "./keep-leases.ts";
import type { LeaseKeeper } from "./lease-keeper.ts";
import { openPace, type Pace } from "./pace.ts";
import { openTrouble, type Trouble } from "./trouble.ts";
import { JobsUnderway, type Underway } from "./underway.ts";
import type { RunningWorker, WorkerState, WorkerSummary } from "./worker-state.ts";

export type WorkerParts = {
  readonly call: SqlCall;
  readonly activity: Activity;
  readonly run: RunJob;
  readonly keeper: LeaseKeeper;
  readonly hints?: HintSource;
  /** Called when there is something to do beside the jobs. */
  readonly chores?: () => void;
};

export type WorkerLimits = ClaimOptions & {
  readonly slots: number;
  /** Most jobs that one claim brings; 500 unless said otherwise. */
  readonly batch?: number;
  /** Longest pause between two looks at an empty queue. */
  readonly idleMs: number;
  readonly graceMs: number;
  readonly memoryBytes: number;
  readonly once: boolean;
  /** Our own death would be noticed at once, so we look after others as often. */
  readonly watches?: boolean;
};

// As many as one call carries either way.
const BATCH = 500;
// A full batch of so many jobs is worth a second lane.
const BUSY_BATCH = 50;
const TURN_MS = 10_000;
// Of the grace time: jobs may finish by themselves for this share, the rest is for releasing them.
const FINISH_SHARE = 0.5;
const NOTHING = { came: null, isFull: false };
const SILENT: HintSource = { state: () => "silent", listens: () => null };

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
  readonly #hints: HintSource;
  readonly #pace: Pace;
  readonly #trouble: Trouble;
  readonly #jobs: JobsUnderway;
  readonly #startedAt = performance.now();
  readonly #stopping = new AbortController();
  readonly #graceOver = new AbortController();
  #pause = new AbortController();
  #woken = false;
  #loopedAt = performance.now();
  /** A claim's answer was lost, and with it jobs that we hold without knowing. */
  #uncertain = false;
  /** Slots that claims under way may fill. */
  #asked = 0;
  #sideLane: Promise<void> | null = null;
  #drained: Promise<void> | null = null;

  constructor(parts: WorkerParts, limits: WorkerLimits) {
    this.#parts = parts;
    this.#limits = limits;
    this.#hints = parts.hints ?? SILENT;
    this.#pace = openPace({ idleMs: limits.idleMs, watches: limits.watches ?? false, hints: this.#hints });
    this.#trouble = openTrouble(parts.activity, limits.leaseSeconds * 1000);
    this.#jobs = new JobsUnderway({
      ...parts,
      ended: (outcome) => this.#ended(outcome),
      completed: () => parts.chores?.(),
    });
  }

  state(): WorkerState {
    return {
      workerId: this.#limits.workerId,
      ...this.#trouble.state(),
      jobs: this.#jobs.size,
      slots: this.#limits.slots,
      loopAgeMs: performance.now() - this.#loopedAt,
      leaseAgeMs: this.#parts.keeper.leaseAgeMs(),
    };
  }

  wake(): void {
    this.#woken = true;
    this.#pause.abort(null);
  }

  async loop(): Promise<WorkerSummary> {
    while (!this.#isOver()) {
      const { came, isFull } = await this.#turn();
      if (isFull) this.#sideLane ??= this.#exchangeWhileFull();
      if (this.#limits.once && this.#trouble.isLasting()) throw this.#trouble.failure();
      if (this.#limits.once && came === 0 && this.#isIdle() && !this.#trouble.isAny()) break;
      await this.#restAfter(came);
    }
    await this.#sideLane;
    await this.#drained;
    this.#trouble.stopped();
    return { ...this.#jobs.counts, seconds: (performance.now() - this.#startedAt) / 1000 };
  }

  async stop(reason: string): Promise<void> {
    if (this.#drained === null) {
      this.#drained = this.#drain(reason);
      this.#stopping.abort();
      this.#pause.abort(null);
    }
    await this.#drained;
  }

  /** Whether we are to stop and hold nothing any more, or may wait no longer. */
  #isOver(): boolean {
    if (!this.#stopping.signal.aborted) return false;
    return this.#isIdle() || this.#graceOver.signal.aborted;
  }

  #isIdle(): boolean {
    return this.#jobs.size === 0 && this.#asked === 0;
  }

  async #exchangeWhileFull(): Promise<void> {
    let isFull = true;
    while (isFull && !this.#stopping.signal.aborted && !this.#trouble.isAny())
      ({ isFull } = await this.#turn());
    this.#sideLane = null;
    // What our last turn brought or could not settle is the loop's.
    this.#pause.abort(null);
  }

  /** One exchange. `came`: how many jobs it brought; null when none was asked for or the database did not answer. */
  async #turn(): Promise<{ readonly came: number | null; readonly isFull: boolean }> {
    this.#loopedAt = performance.now();
    const batch = this.#jobs.takeEnded(BATCH);
    // Not while another claim is under way: its jobs would look like ones whose answer was lost.
    const slots = this.#uncertain && this.#asked > 0 ? 0 : this.#freeSlots();
    if (batch.length === 0 && this.#stopping.signal.aborted) return NOTHING;
    if (slots > 0 && this.#uncertain && !(await this.#giveBackUnknown())) {
      this.#jobs.putBack(batch);
      return NOTHING;
    }
    this.#asked += slots;
    try {
      const answer = await this.#exchange(batch, slots);
      const came = answer.jobs.length + answer.unreadable.length;
      this.#pace.heard(came, answer);
      if (answer.chores) this.#parts.chores?.();
      if (answer.reaped !== null) this.#parts.activity.say("jobs.reaped", answer.reaped);
      for (const job of answer.jobs) this.#jobs.start(job, this.#stopping.signal.aborted);
      this.#jobs.refuseUnreadable(answer.unreadable);
      return { came: slots > 0 ? came : null, isFull: came >= BUSY_BATCH && came === slots };
    } catch (thrown) {
      if (slots > 0) this.#uncertain = true;
      await this.#putBack(batch, failureFromUnknown(thrown));
      return NOTHING;
    } finally {
      this.#asked -= slots;
    }
  }

  async #exchange(batch: readonly Underway[], slots: number): Promise<Exchanged> {
    const { call, keeper } = this.#parts;
    keeper.claiming(this.#asked > 0);
    try {
      const answer = await exchange(
        call,
        {
          transitions: this.#jobs.transitionsOf(batch),
          slots,
          holds: this.#jobs.size - batch.length,
          listens: this.#hints.listens(),
          reap: this.#trouble.mayReap(),
        },
        this.#limits,
        this.#graceOver.signal,
      );
      keeper.renewed();
      this.#trouble.answered(answer.foreign);
      this.#jobs.settle(batch, answer.settled);
      return answer;
    } finally {
      keeper.claiming(this.#asked > slots);
    }
  }

  /** What could not be settled is tried again; when the database refuses it, each transition by itself. */
  async #putBack(batch: readonly Underway[], failure: Failure): Promise<void> {
    const isRefused = failure.kind === "defect" || failure.kind === "permanent";
    const left = this.#jobs.stillHeld(batch);
    if (!isRefused || left.length === 0) {
      this.#jobs.putBack(left);
      this.#trouble.happened(failure);
      return;
    }
    for (const underway of left) {
      if (left.length === 1) this.#jobs.refuse(underway, failure);
      else
        await this.#exchange([underway], 0).catch((thrown: unknown) =>
          this.#putBack([underway], failureFromUnknown(thrown)),
        );
    }
  }

  /** Tells the database what we know of; everything else that it holds for us goes back to the queue. */
  async #giveBackUnknown(): Promise<boolean> {
    try {
      this.#jobs.lose(
        await keepLeases(this.#parts.call, this.#jobs.leases(), this.#limits, { noneUnderWay: true }),
      );
      this.#uncertain = false;
    } catch (thrown) {
      this.#trouble.happened(failureFromUnknown(thrown));
    }
    return !this.#uncertain;
  }

  #freeSlots(): number {
    if (this.#stopping.signal.aborted) return 0;
    if (process.memoryUsage.rss() > this.#limits.memoryBytes && this.#jobs.size > 0) return 0;
    const taken = this.#jobs.taken + this.#asked;
    const free = Math.max(0, this.#trouble.slots(this.#limits.slots) - taken);
    return Math.min(this.#limits.batch ?? BATCH, free);
  }

  async #restAfter(came: number | null): Promise<void> {
    if (this.#trouble.isAny()) return await this.#rest(this.#trouble.pauseMs());
    if (this.#jobs.waiting > 0) return;
    if (came === null) return await this.#rest(this.#limits.idleMs);
    if (came === 0) await this.#rest(this.#pace.nextMs());
  }

  /** Waits, but not longer than until a job ends, somebody wakes us, or we are told to stop. */
  async #rest(ms: number): Promise<void> {
    this.#pause = new AbortController();
    const isWoken = this.#woken;
    this.#woken = false;
    // A hint or the end of a job may have come while the exchange was under way.
    if (isWoken || this.#isOver() || (this.#jobs.waiting > 0 && !this.#trouble.isAny())) return;
    const until = performance.now() + ms;
    for (let leftMs = ms; leftMs > 0 && !this.#pause.signal.aborted; leftMs = until - performance.now()) {
      // The loop turns at least this often, so that /live can tell a pause from a standstill.
      this.#loopedAt = performance.now();
      await sleep(Math.min(leftMs, TURN_MS), this.#pause.signal);
    }
    this.#woken = false;
  }

  #ended(outcome: Outcome): void {
    if (outcome.kind === "release" && outcome.failure.kind === "misconfigured")
      this.#trouble.happened(outcome.failure);
    else if (outcome.kind !== "lost") this.#trouble.jobRan();
    // Without a reason abort() makes an Error with a stack each time: 45 us.
    if (!this.#pause.signal.aborted) this.#pause.abort(null);
  }

  /** Stop claiming; finish or release. The loop goes on settling meanwhile; what is left then is the reaper's. */
  async #drain(reason: string): Promise<void> {
    const startedAt = performance.now();
    this.#trouble.stopping();
    this.#parts.activity.say("worker.stopping", { signal: reason, jobs: this.#jobs.size });
    await this.#jobs.endOfAll(this.#limits.graceMs * FINISH_SHARE);
    this.#jobs.stop();
    await this.#jobs.endOfAll(Math.max(0, this.#limits.graceMs - (performance.now() - startedAt)));
    this.#graceOver.abort(new Failure("worker.stopping"));
    this.#pause.abort(null);
    const seconds = (performance.now() - startedAt) / 1000;
    this.#parts.activity.say("worker.stopped", { released: this.#jobs.counts.released, seconds });
  }
}
