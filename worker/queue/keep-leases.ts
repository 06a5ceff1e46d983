// One renewal: tells the database which leases this worker really holds, and learns which are lost.
import { z } from "zod";
import type { Lease } from "../document/lease.ts";
import type { SqlCall } from "../document/sql-call.ts";
import { Failure } from "../failure/failure.ts";

const answerOf = z.object({ lost: z.array(z.string()), orphans: z.number().int() });

export type KeepOptions = { readonly workerId: string; readonly leaseSeconds: number };

/**
 * Answers the tokens that are no longer ours. `noneUnderWay`: we wait for no claim's answer, so that everything else
 * that the database holds for us is a claim whose answer was lost.
 */
export async function keepLeases(
  call: SqlCall,
  held: readonly Lease[],
  options: KeepOptions,
  { noneUnderWay = false } = {},
): Promise<readonly string[]> {
  const answer = answerOf.parse(
    await call(
      "rag_keep_leases",
      {
        p_worker: options.workerId,
        p_held: held.map((lease) => ({ job_id: lease.jobId, lease_token: lease.token })),
        p_lease_seconds: options.leaseSeconds,
        p_none_under_way: noneUnderWay,
      },
      // A connection that has silently died must not hold the next renewal up.
      { signal: limited(Math.max(1000, renewalMs(options.leaseSeconds))) },
    ),
  );
  return answer.lost;
}

function limited(ms: number): AbortSignal {
  const limit = new AbortController();
  setTimeout(() => limit.abort(new Failure("database.timeout", { facts: { limitMs: ms } })), ms).unref();
  return limit.signal;
}

/** Three renewals fit into a lease, so that one may fail and one may be late. */
export const renewalMs = (leaseSeconds: number) => Math.max(250, (leaseSeconds * 1000) / 3);

/** Knows, where the renewals are made, by how much one came after the lease it should have prolonged. */
export class Lateness {
  readonly #leaseMs: number;
  #last = performance.now();

  constructor(leaseSeconds: number) {
    this.#leaseMs = leaseSeconds * 1000;
  }

  /** Milliseconds between the end of the last lease and now; 0 when in time. */
  renewed(): number {
    const now = performance.now();
    const lateMs = Math.max(0, Math.round(now - this.#last - this.#leaseMs));
    this.#last = now;
    return lateMs;
  }
}
