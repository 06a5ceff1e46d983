// The jobs that a worker holds: at work, waiting to be settled, or in an exchange. Each is settled exactly once.
import type { Activity } from "../activity/activity.ts";
import type { Job, Lease } from "../document/lease.ts";
import type { Outcome } from "../document/outcome.ts";
import { Failure } from "../failure/failure.ts";
import type { RunJob } from "../pipeline/run-job.ts";
import { sleep } from "../timing/durations.ts";
import type { LeaseKeeper } from "./lease-keeper.ts";
import {
  readSettled,
  type Settled,
  sayLost,
  sayUnreadable,
  type Transition,
  transitionOf,
  unreadableTransition,
} from "./settle.ts";

export type Underway = {
  readonly job: Job;
  readonly claimedAt: number;
  readonly abort: AbortController;
  /** How its run ended; null while it runs. */
  outcome: Exclude<Outcome, { kind: "lost" }> | null;
  /** How long it had been held by then, and when that was. */
  heldMs: number;
  endedAt: number;
  /** How often the database refused its transition. */
  refused: number;
  readonly settled: PromiseWithResolvers<void>;
};

export type UnderwayParts = {
  readonly activity: Activity;
  readonly run: RunJob;
  readonly keeper: Pick<LeaseKeeper, "hold" | "drop">;
  /** A job's run has ended. */
  readonly ended: (outcome: Outcome) => void;
  readonly completed: () => void;
};

export class JobsUnderway {
  readonly counts: Record<Settled, number> = { completed: 0, failed: 0, retried: 0, released: 0, lost: 0 };
  readonly #parts: UnderwayParts;
  readonly #all = new Set<Underway>();
  #atWork = 0;
  #toSettle: Underway[] = [];
  #unreadable: Lease[] = [];

  constructor(parts: UnderwayParts) {
    this.#parts = parts;
  }

  get size(): number {
    return this.#all.size;
  }

  get waiting(): number {
    return this.#toSettle.length;
  }

  /** Slots in use. What waits to be settled keeps its own, or a database that refuses would be asked for ever more. */
  get taken(): number {
    return this.#atWork + this.#toSettle.length;
  }

  leases(): readonly Lease[] {
    return [...this.#all].map(({ job }) => job.lease);
  }

  /** `isStopping`: it came while the worker is told to stop, and goes back unless it is done at once. */
  start(job: Job, isStopping: boolean): void {
    const underway: Underway = {
      job,
      claimedAt: performance.now(),
      abort: new AbortController(),
      outcome: null,
      heldMs: 0,
      endedAt: 0,
      refused: 0,
      settled: Promise.withResolvers<void>(),
    };
    this.#all.add(underway);
    this.#atWork += 1;
    this.#parts.keeper.hold(job.lease, () => underway.abort.abort(new Failure("job.lease-lost")));
    this.#parts.activity.say("job.claimed", {
      jobId: job.id,
      documentId: job.document?.id ?? null,
      kind: job.kind,
      attempt: job.attempt,
      documentKind: job.document?.kind ?? null,
      title: job.document?.title ?? null,
      version: job.document?.version ?? null,
      userId: job.document?.userId ?? null,
    });
    if (isStopping) underway.abort.abort(new Failure("worker.stopping"));
    void this.#run(underway);
  }

  async #run(underway: Underway): Promise<void> {
    const outcome = await this.#parts.run(underway.job, underway.abort.signal);
    underway.endedAt = performance.now();
    underway.heldMs = Math.round(underway.endedAt - underway.claimedAt);
    this.#atWork -= 1;
    if (outcome.kind === "lost") {
      this.#over(underway, sayLost(this.#parts.activity, underway.job, underway.heldMs));
    } else {
      underway.outcome = outcome;
      this.#toSettle.push(underway);
    }
    this.#parts.ended(outcome);
  }

  /** A claimed row that cannot be read is failed with the next exchange. */
  refuseUnreadable(leases: readonly Lease[]): void {
    for (const lease of leases) sayUnreadable(this.#parts.activity, lease);
    this.#unreadable.push(...leases);
  }

  /** The next to be settled: whoever takes them settles them, or puts them back. */
  takeEnded(most: number): readonly Underway[] {
    return this.#toSettle.splice(0, most);
  }

  /** Those of the batch that are still ours, in front of the others. */
  putBack(batch: readonly Underway[]): void {
    const waiting = new Set(this.#toSettle);
    this.#toSettle.unshift(...this.stillHeld(batch).filter((underway) => !waiting.has(underway)));
  }

  stillHeld(batch: readonly Underway[]): readonly Underway[] {
    return batch.filter((underway) => this.#all.has(underway));
  }

  /** One transition a job, in order, and behind them those of rows that could not be read. */
  transitionsOf(batch: readonly Underway[]): readonly Transition[] {
    const unreadable = this.#unreadable.splice(0).map(unreadableTransition);
    return [...batch.flatMap((underway) => endedOf(underway).map(transitionOf)), ...unreadable];
  }

  /** `answers`: what the database said to transitionsOf(batch). */
  settle(batch: readonly Underway[], answers: readonly unknown[]): void {
    for (const [place, underway] of batch.entries()) {
      for (const ended of endedOf(underway)) {
        const became = readSettled(answers[place], ended, this.#parts.activity);
        if (typeof became === "string") this.#over(underway, became);
        else {
          underway.outcome = became.outcome;
          this.#toSettle.push(underway);
        }
      }
    }
  }

  /** It says nothing about the document: the job is tried again, and when even that is refused the reaper has it. */
  refuse(underway: Underway, failure: Failure): void {
    underway.refused += 1;
    underway.outcome = { kind: "retry", failure };
    if (underway.refused === 1) this.#toSettle.push(underway);
    else this.#over(underway, sayLost(this.#parts.activity, underway.job, underway.heldMs));
  }

  #over(underway: Underway, became: Settled): void {
    this.#parts.keeper.drop(underway.job.lease);
    this.counts[became] += 1;
    if (became === "completed") this.#parts.completed();
    this.#all.delete(underway);
    underway.settled.resolve();
  }

  /** The database holds jobs under these tokens no longer. */
  lose(tokens: readonly string[]): void {
    for (const underway of this.#all)
      if (tokens.includes(underway.job.lease.token)) underway.abort.abort(new Failure("job.lease-lost"));
  }

  stop(): void {
    for (const underway of this.#all) underway.abort.abort(new Failure("worker.stopping"));
  }

  /** Resolves when none is left, or the time is over. */
  async endOfAll(limitMs: number): Promise<void> {
    const waited = new AbortController();
    const all = async () => {
      while (this.#all.size > 0) await Promise.all([...this.#all].map((one) => one.settled.promise));
    };
    await Promise.race([all(), sleep(limitMs, waited.signal)]);
    waited.abort();
  }
}

const endedOf = ({ job, outcome, heldMs, endedAt }: Underway) =>
  outcome === null ? [] : [{ job, outcome, heldMs, endedAt }];
