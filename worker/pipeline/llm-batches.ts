// Submits what waits in batches and fetches what came back: one replica at a time, whoever has the turn. Each step
// is written down before the next, so that any replica goes on where another one stopped; a batch that was started a
// moment before a crash is found again. What is asked for, and of whom, is the work's matter (BatchWork).
import { z } from "zod";
import type { Activity } from "../activity/activity.ts";
import type { Failure } from "../failure/failure.ts";
import { failureFromUnknown } from "../failure/from-unknown.ts";
import { sleep } from "../timing/durations.ts";

/** How a batch stands: `running`, or how it ended. */
export type BatchSeen = {
  readonly state: "running" | "completed" | "failed" | "expired" | "cancelled";
  /** The provider's code when it took the batch for invalid as a whole. */
  readonly code: string | null;
};

export type Paid = { readonly tokens: number; readonly costUsd: number };

/** What one kind of batch is. Every call may throw a Failure; then the batch stands as it stood. */
export type BatchWork<Seen extends BatchSeen = BatchSeen> = {
  readonly provider: string;
  /** So many are worth a batch at once; fewer wait for company. */
  readonly mostInputs: number;
  /** The answer of a function that gives the turn; 0 seconds give it back. */
  takeTurn(seconds: number): Promise<unknown>;
  /** Throws when nothing more may be paid today. */
  admit(): void;
  /** Chooses what waits. Answers the batch, or null when nothing does. */
  fill(): Promise<string | null>;
  /** Hands it to the provider, and answers the provider's id; null when nothing is left in it. */
  submit(id: string): Promise<string | null>;
  /** Writes down that the provider has it. */
  noteSubmitted(id: string, providerId: string): Promise<void>;
  /** The provider said no to the batch as a whole: whether it took it is no question, as after a cut connection. */
  isRefusal(failure: Failure): boolean;
  /** The provider's id of a batch that may have been started; null when it was not, `unsure` when that cannot be told yet. */
  find(batch: OpenBatch, others: readonly OpenBatch[]): Promise<string | null | "unsure">;
  look(providerId: string): Promise<Seen>;
  /** Stores what came back. Answers what was paid for what is stored now. */
  collect(batch: OpenBatch, seen: Seen): Promise<Paid>;
  cancel(providerId: string): Promise<void>;
  end(id: string, outcome: string, code: string | null, paid: Paid): Promise<void>;
  /** Removes what nobody needs any more; never throws. */
  forget(batch: OpenBatch, seen: Seen): Promise<void>;
  /** Hears that the provider was asked in vain. */
  failed(code: string): void;
};

export type BatchTimes = {
  /** Between two looks. */
  readonly pollMs: number;
  /** What waits gathers so long for a batch that is not full. */
  readonly gatherMs: number;
};

const TIMES: BatchTimes = { pollMs: 60_000, gatherMs: 60_000 };
// Long enough to upload one batch or to store another; the turn is taken again before each.
const TURN_SECONDS = 900;
// A batch that was refused as a whole (an empty account, a queue that is full) would be refused again at once.
const AFTER_FAILURE_SECONDS = 600;

const batchOf = z.object({
  id: z.string(),
  state: z.enum(["filling", "submitted"]),
  provider_batch_id: z.string().nullable(),
  inputs: z.number(),
  age_seconds: z.coerce.number().nullish(),
  wanted: z.boolean(),
});
export type OpenBatch = z.infer<typeof batchOf>;
const turnOf = z.union([
  z.object({ mine: z.literal(false) }),
  z.object({
    mine: z.literal(true),
    batches: z.array(batchOf),
    waiting: z.number(),
    oldest_seconds: z.coerce.number().nullable(),
    failed_seconds: z.coerce.number().nullable(),
  }),
]);

export type LlmBatches = { stop(): Promise<void> };

export function startLlmBatches<Seen extends BatchSeen>(
  work: BatchWork<Seen>,
  activity: Activity,
  times: Partial<BatchTimes> = {},
): LlmBatches {
  const { pollMs } = { ...TIMES, ...times };
  const stopping = new AbortController();
  const loop = async () => {
    while (!stopping.signal.aborted) {
      await lookOnce(work, activity, stopping.signal, times).catch((thrown: unknown) => {
        const { code } = failureFromUnknown(thrown);
        // Trouble with the database is the claim loop's to tell.
        if (!code.startsWith("database.")) work.failed(code);
      });
      // Replicas do not all ask in the same moment.
      await sleep(pollMs * (0.75 + Math.random() / 2), stopping.signal);
    }
  };
  const running = loop();
  return {
    async stop() {
      stopping.abort(null);
      await running;
      // Another replica need not wait until our turn is over.
      await work.takeTurn(0).catch(() => {});
    },
  };
}

/** One turn: fetches what has ended, then submits what waits. Does nothing when another replica has the turn. */
export async function lookOnce<Seen extends BatchSeen>(
  work: BatchWork<Seen>,
  activity: Activity,
  signal: AbortSignal,
  times: Partial<BatchTimes> = {},
): Promise<void> {
  const turns = new Turns(work, activity);
  let turn = await turns.take();
  if (!turn.mine) return;
  for (const batch of turn.batches) {
    if (signal.aborted) return;
    await turns.attend(batch, turn.batches);
    // For the next, and for what the one that ended left to be sent again.
    turn = await turns.take();
    if (!turn.mine) return;
  }
  const { gatherMs } = { ...TIMES, ...times };
  const isDue = turn.waiting >= work.mostInputs || (turn.oldest_seconds ?? 0) * 1000 >= gatherMs;
  const mayTry = turn.failed_seconds === null || turn.failed_seconds >= AFTER_FAILURE_SECONDS;
  if (turn.waiting === 0 || !isDue || !mayTry || signal.aborted) return;
  work.admit();
  const filled = await work.fill();
  if (filled !== null) await turns.submit(filled);
}

class Turns<Seen extends BatchSeen> {
  readonly #work: BatchWork<Seen>;
  readonly #activity: Activity;

  constructor(work: BatchWork<Seen>, activity: Activity) {
    this.#work = work;
    this.#activity = activity;
  }

  async take() {
    return turnOf.parse(await this.#work.takeTurn(TURN_SECONDS));
  }

  async attend(batch: OpenBatch, all: readonly OpenBatch[]): Promise<void> {
    const work = this.#work;
    if (batch.provider_batch_id === null) {
      // Somebody stopped between choosing what goes into it and writing down its id.
      const found = await work.find(batch, all);
      if (found === "unsure") return;
      if (found === null) await this.submit(batch.id);
      else {
        await work.noteSubmitted(batch.id, found);
        await this.attend({ ...batch, provider_batch_id: found }, all);
      }
      return;
    }
    const seen = await work.look(batch.provider_batch_id);
    if (seen.state !== "running") {
      await this.#end(batch.id, seen.state, seen.code, await work.collect(batch, seen));
      return await work.forget(batch, seen);
    }
    // Every job that wanted something of it was cancelled; what is done by then is stored when it has ended.
    if (!batch.wanted) await work.cancel(batch.provider_batch_id);
  }

  async submit(id: string): Promise<void> {
    try {
      const providerId = await this.#work.submit(id);
      if (providerId === null) await this.#end(id, "cancelled", null);
      else await this.#work.noteSubmitted(id, providerId);
    } catch (thrown) {
      const failure = failureFromUnknown(thrown);
      if (this.#work.isRefusal(failure)) await this.#end(id, "failed", failure.code);
      throw thrown;
    }
  }

  async #end(
    id: string,
    outcome: Exclude<BatchSeen["state"], "running">,
    code: string | null,
    paid: Paid = { tokens: 0, costUsd: 0 },
  ): Promise<void> {
    await this.#work.end(id, outcome, code, paid);
    const { provider } = this.#work;
    this.#activity.say("batch.ended", { provider, outcome, code: code ?? "", ...paid });
  }
}
