// What every replica does beside its jobs, without a leader: rescue jobs of workers that disappeared, fill
// search terms, collect what no reader can see any more. Each call is short and safe beside other replicas.
import { z } from "zod";
import type { Activity } from "../activity/activity.ts";
import type { SqlCall } from "../document/sql-call.ts";
import { sleep } from "../timing/durations.ts";

export type MaintenanceOptions = {
  readonly leaseSeconds: number;
  readonly keepOriginals: boolean;
  /** Milliseconds since the database last renewed our own leases; null before the first time. */
  readonly leaseAgeMs: () => number | null;
};

export type Maintenance = { stop(): Promise<void> };

const reaped = z.object({ requeued: z.number(), failed: z.number() });
const filled = z.object({ chunks: z.number(), generations: z.number() });
const collected = z.object({
  chunks: z.number(),
  segments: z.number(),
  generations: z.number(),
  originals: z.number(),
});

// At 0.6 ms a row one call stays near a tenth of a second.
const TERMS_A_CALL = 200;
const GARBAGE_A_CALL = 1000;
// Most calls in a row before other work of this loop has its turn.
const CALLS_IN_A_ROW = 50;

export function startMaintenance(
  call: SqlCall,
  activity: Activity,
  options: MaintenanceOptions,
): Maintenance {
  const stopping = new AbortController();
  const leaseMs = options.leaseSeconds * 1000;
  let quietSince: number | null = null;

  const round = async () => {
    // After an outage every lease looks run out at once: first let the living renew theirs.
    const age = options.leaseAgeMs();
    if (age === null || age > leaseMs) quietSince = performance.now();
    if (quietSince === null || performance.now() - quietSince > leaseMs) await reap(call, activity);
    if (stopping.signal.aborted) return;
    // Each by itself: trouble with one must not keep the other from its work for ever.
    await fillTerms(call, stopping.signal).catch(() => {});
    await collectGarbage(call, activity, options.keepOriginals, stopping.signal);
  };
  const loop = async () => {
    const pauseMs = Math.min(5000, leaseMs / 4);
    while (!stopping.signal.aborted) {
      // Jitter keeps the replicas from knocking all at the same moment.
      await sleep(pauseMs * (0.75 + Math.random() / 2), stopping.signal);
      if (stopping.signal.aborted) break;
      // Trouble with the database is seen and told by the claim loop; the next round tries again.
      await round().catch(() => {});
    }
  };
  const running = loop();
  return {
    async stop() {
      stopping.abort();
      await running;
    },
  };
}

async function reap(call: SqlCall, activity: Activity): Promise<void> {
  const answer = reaped.parse(await call("rag_reap", { p_limit: 100 }));
  if (answer.requeued + answer.failed > 0) activity.say("jobs.reaped", answer);
}

/** Fills the search terms of what went live; answers when none is left or the signal fires. */
export async function fillTerms(call: SqlCall, signal: AbortSignal): Promise<void> {
  for (let calls = 0; calls < CALLS_IN_A_ROW && !signal.aborted; calls += 1) {
    const answer = filled.parse(await call("rag_fill_terms", { p_limit: TERMS_A_CALL }));
    if (answer.chunks < TERMS_A_CALL) return;
  }
}

async function collectGarbage(
  call: SqlCall,
  activity: Activity,
  keepOriginals: boolean,
  signal: AbortSignal,
) {
  for (let calls = 0; calls < CALLS_IN_A_ROW && !signal.aborted; calls += 1) {
    const answer = collected.parse(
      await call("rag_collect_garbage", { p_limit: GARBAGE_A_CALL, p_keep_originals: keepOriginals }),
    );
    const total = answer.chunks + answer.segments + answer.generations + answer.originals;
    if (total === 0) return;
    activity.say("garbage.collected", {
      chunks: answer.chunks,
      segments: answer.segments,
      originals: answer.originals,
    });
  }
}
