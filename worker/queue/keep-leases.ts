// One renewal: tells the database which leases this worker really holds, and learns which are lost.
import { z } from "zod";
import type { Lease } from "../document/lease.ts";
import type { SqlCall } from "../document/sql-call.ts";
import { Failure } from "../failure/failure.ts";
import { renewalMs } from "./renewal-times.ts";

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
