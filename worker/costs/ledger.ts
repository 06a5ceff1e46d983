// What this process pays, told to the database every few seconds, and whether the day's budget has room.
// Nothing is asked for each request: the database's answer to what we told says what all replicas have spent, and what
// we have paid since is added here. So replicas together may pass the cap by what they pay between two tellings.
import { z } from "zod";
import type { SqlCall } from "../document/sql-call.ts";
import { Failure } from "../failure/failure.ts";
import { sleep } from "../timing/durations.ts";

export type Spent = {
  readonly tenantId: string;
  readonly model: string;
  readonly tokens: number;
  readonly costUsd: number;
};

export type LedgerOptions = {
  readonly call: SqlCall;
  readonly workerId: string;
  /** For all replicas and a day in UTC; null: no cap. */
  readonly budgetUsd: number | null;
};

export type Ledger = {
  /** Throws `embed.budget-spent` (waiting, until the day ends) when there is a cap and it is reached. */
  admit(): void;
  add(spent: Spent): void;
  /** Paid, and written by whoever paid: it counts for the budget, and is not told again. */
  note(costUsd: number): void;
  /** Tells what is left to tell. Safe to call twice; never throws. */
  close(): Promise<void>;
};

const TELL_MS = 5_000;
// Near the cap the others' spending matters more.
const NEAR_TELL_MS = 1_000;
const NEAR_SHARE = 0.9;
/** Tenants and models in one call. */
const MOST_ROWS = 500;
/** Jobs that wait for the next day do not all come in its first second. */
const JITTER_MS = 60_000;
/** Calls in a row that bring back jobs which waited for money, a thousand each. */
const MOST_RESUMES = 100;

const answerOf = z.object({
  day: z.string(),
  ends_in_seconds: z.number(),
  spent_usd: z.coerce.number(),
});
const resumedOf = z.object({ resumed: z.number() });

/** Opens the day's account. Throws `database.*`. */
export async function openLedger(options: LedgerOptions): Promise<Ledger> {
  const ledger = new DayLedger(options);
  await ledger.open();
  return ledger;
}

type Sum = { readonly tokens: number; readonly costUsd: number };
/** Of one tenant and model since the day began, and how much of it the database knows. */
type Total = { readonly sum: Sum; readonly told: Sum };
type Day = { readonly name: string; readonly endsAt: number };

const NOTHING: Sum = { tokens: 0, costUsd: 0 };
const plus = (one: Sum, other: Sum, sign: 1 | -1 = 1): Sum => ({
  tokens: one.tokens + sign * other.tokens,
  costUsd: one.costUsd + sign * other.costUsd,
});

class DayLedger implements Ledger {
  readonly #options: LedgerOptions;
  readonly #stopping = new AbortController();
  #totals = new Map<string, Total>();
  /** Keys of the totals that the database does not know whole. */
  readonly #changed = new Set<string>();
  #day: Day | null = null;
  #spentUsd = 0;
  #running: Promise<void> | null = null;

  constructor(options: LedgerOptions) {
    this.#options = options;
  }

  async open(): Promise<void> {
    await this.#tell();
    if (!this.#isSpent()) await this.#resumeJobs();
    this.#running = this.#loop();
  }

  admit(): void {
    if (!this.#isSpent()) return;
    const leftMs = Math.max(0, (this.#day?.endsAt ?? 0) - performance.now());
    throw new Failure("embed.budget-spent", {
      retryAfterMs: leftMs + Math.random() * JITTER_MS,
      facts: { budgetUsd: this.#options.budgetUsd ?? 0 },
    });
  }

  add({ tenantId, model, ...paid }: Spent): void {
    if (paid.tokens <= 0 && paid.costUsd <= 0) return;
    const key = JSON.stringify([tenantId, model]);
    const { sum, told } = this.#totals.get(key) ?? { sum: NOTHING, told: NOTHING };
    this.#totals.set(key, { sum: plus(sum, paid), told });
    this.#changed.add(key);
  }

  note(costUsd: number): void {
    // Until the next answer, which has it.
    this.#spentUsd += costUsd;
  }

  async close(): Promise<void> {
    this.#stopping.abort(null);
    await this.#running;
    if (this.#changed.size > 0) await this.#tell().catch(() => {});
  }

  #isSpent(): boolean {
    const { budgetUsd } = this.#options;
    if (budgetUsd === null) return false;
    // The day may have ended since the last answer: the next one says so.
    if (this.#day !== null && performance.now() >= this.#day.endsAt) return false;
    return this.#knownUsd() >= budgetUsd;
  }

  /** Of all replicas as last told, and ours since. */
  #knownUsd(): number {
    let usd = this.#spentUsd;
    for (const key of this.#changed) {
      const { sum, told } = this.#totals.get(key) ?? { sum: NOTHING, told: NOTHING };
      usd += sum.costUsd - told.costUsd;
    }
    return usd;
  }

  async #loop(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      await sleep(this.#pauseMs(), this.#stopping.signal);
      if (this.#stopping.signal.aborted) return;
      const wasSpent = this.#isSpent();
      const dayEnded = this.#day !== null && performance.now() >= this.#day.endsAt;
      if (this.#changed.size === 0 && this.#options.budgetUsd === null && !dayEnded) continue;
      try {
        await this.#tell();
        if ((wasSpent || dayEnded) && !this.#isSpent()) await this.#resumeJobs();
      } catch {
        // Trouble with the database is seen and told by the claim loop; totals wait for the next telling.
      }
    }
  }

  #pauseMs(): number {
    const { budgetUsd } = this.#options;
    const isNear = budgetUsd !== null && this.#knownUsd() > NEAR_SHARE * budgetUsd;
    return isNear ? NEAR_TELL_MS : TELL_MS;
  }

  async #tell(): Promise<void> {
    do {
      const telling = [...this.#changed].slice(0, MOST_ROWS).flatMap((key) => {
        const total = this.#totals.get(key);
        return total === undefined ? [] : [{ key, sum: total.sum }];
      });
      const answer = answerOf.parse(
        await this.#options.call("rag_tell_costs", {
          p_worker: this.#options.workerId,
          p_day: this.#day?.name ?? null,
          p_costs: telling.map(({ key, sum }) => {
            const [tenant_id, model] = JSON.parse(key) as [string, string]; // SAFETY: written by add().
            return { tenant_id, model, tokens: Math.round(sum.tokens), cost_usd: sum.costUsd.toFixed(8) };
          }),
        }),
      );
      for (const { key, sum } of telling) this.#isTold(key, sum);
      this.#spentUsd = answer.spent_usd;
      this.#begin({ name: answer.day, endsAt: performance.now() + answer.ends_in_seconds * 1000 });
    } while (this.#changed.size > 0 && !this.#stopping.signal.aborted);
  }

  #isTold(key: string, told: Sum): void {
    const sum = this.#totals.get(key)?.sum ?? told;
    this.#totals.set(key, { sum, told });
    // Something may have been paid while we asked.
    if (sum === told) this.#changed.delete(key);
  }

  /** Another day begins with what the database was not told of the day before. */
  #begin(day: Day): void {
    if (this.#day !== null && this.#day.name !== day.name) {
      const late = [...this.#totals].filter(([key]) => this.#changed.has(key));
      this.#totals = new Map(
        late.map(([key, { sum, told }]) => [key, { sum: plus(sum, told, -1), told: NOTHING }]),
      );
    }
    this.#day = day;
  }

  async #resumeJobs(): Promise<void> {
    for (let calls = 0; calls < MOST_RESUMES; calls += 1) {
      const { resumed } = resumedOf.parse(await this.#options.call("rag_end_budget_wait", {}));
      if (resumed === 0) return;
    }
  }
}
