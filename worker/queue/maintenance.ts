// What every replica does beside its jobs, without a leader: fill search terms, collect what no reader can see any
// more. Each call is short and safe beside other replicas; while there is nothing to do none is made.
import { z } from "zod";
import type { Activity } from "../activity/activity.ts";
import type { SqlCall } from "../document/sql-call.ts";
import { sleep } from "../timing/durations.ts";

export type Maintenance = {
  /** There is something to do: a document went live, or the database said so. */
  wake(): void;
  stop(): Promise<void>;
};

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
// Documents that go live one after the other share a round.
const GATHER_MS = 1000;
// Nobody tells when an original is needed no more.
const UNASKED_MS = 10 * 60_000;

export function startMaintenance(call: SqlCall, activity: Activity, keepOriginals: boolean): Maintenance {
  const stopping = new AbortController();
  let isWoken = true;
  let pause = new AbortController();

  const round = async () => {
    // Each by itself: trouble with one must not keep the other from its work for ever. Trouble with the database is
    // seen and told by the claim loop.
    await fillTerms(call, stopping.signal).catch(() => {});
    await collectGarbage(call, activity, keepOriginals, stopping.signal).catch(() => {});
  };
  const loop = async () => {
    while (!stopping.signal.aborted) {
      if (!isWoken) await sleep(UNASKED_MS * (0.75 + Math.random() / 2), pause.signal);
      await sleep(GATHER_MS * (0.75 + Math.random() / 2), stopping.signal);
      if (stopping.signal.aborted) break;
      isWoken = false;
      pause = new AbortController();
      await round();
    }
  };
  const running = loop();
  const wake = () => {
    isWoken = true;
    pause.abort();
  };
  return {
    wake,
    async stop() {
      stopping.abort();
      wake();
      await running;
    },
  };
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
