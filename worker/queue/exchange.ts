// One round trip with the queue: what has ended goes, what is ready comes; the worker's sign of life and the look
// for jobs of workers that disappeared ride on it.
import { z } from "zod";
import type { SqlCall } from "../document/sql-call.ts";
import { type Claimed, type ClaimOptions, readClaimed } from "./claim.ts";
import type { Transition } from "./settle.ts";

const answerOf = z.object({
  settled: z.array(z.unknown()).nullish(),
  jobs: z.unknown().optional(),
  reaped: z.object({ requeued: z.number(), failed: z.number() }).nullish(),
  watch: z.boolean().nullish(),
  due_ms: z.number().nonnegative().nullish(),
  chores: z.boolean().nullish(),
  foreign: z.boolean().nullish(),
});

export type Exchange = {
  readonly transitions: readonly Transition[];
  /** Most jobs to bring; 0 only settles. */
  readonly slots: number;
  /** Jobs at work beside these. */
  readonly holds: number;
  /** The channel we listen on; null for none. */
  readonly listens: string | null;
  readonly reap: boolean;
};

export type Exchanged = Claimed & {
  /** One answer a transition, in order. */
  readonly settled: readonly unknown[];
  readonly reaped: { readonly requeued: number; readonly failed: number } | null;
  /** Another worker has jobs whose death would be noticed at once. */
  readonly watch: boolean;
  /** Milliseconds until the next delayed job is due, when it is soon; null otherwise. */
  readonly dueMs: number | null;
  /** There is something to do for maintenance. */
  readonly chores: boolean;
  /** The stored vectors are of another model than ours: no document is ours to embed. */
  readonly foreign: boolean;
};

/** Sent once: when the answer is lost, so are the jobs in it, and the caller must say so (`rag_keep_leases`). */
export async function exchange(
  call: SqlCall,
  given: Exchange,
  options: ClaimOptions,
  signal: AbortSignal,
): Promise<Exchanged> {
  const answer = answerOf.parse(
    await call(
      "rag_settle_and_claim",
      {
        p_worker: options.workerId,
        p_settled: given.transitions,
        p_slots: given.slots,
        p_kinds: options.kinds,
        p_lease_seconds: options.leaseSeconds,
        p_holds: given.holds,
        p_listens: given.listens,
        p_reap: given.reap,
        p_model: options.model ?? null,
      },
      { once: true, signal },
    ),
  );
  return {
    ...readClaimed(answer.jobs ?? {}),
    settled: answer.settled ?? [],
    reaped: answer.reaped ?? null,
    watch: answer.watch ?? false,
    dueMs: answer.due_ms ?? null,
    chores: answer.chores ?? false,
    foreign: answer.foreign ?? false,
  };
}
