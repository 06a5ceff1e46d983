// What every replica does beside its jobs, without a leader: fill search terms, fold vectors into the parts that
// searches read and index these, move a change of models on, collect what no reader can see any more, drop old months
// of the activity log. Each call is safe beside other replicas and short, but for the building of an index, which has
// a connection of its own; while there is nothing to do none is made.
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
const advanced = z.object({ state: z.string(), documents: z.number() });
const collected = z.object({
  chunks: z.number(),
  segments: z.number(),
  generations: z.number(),
  originals: z.number(),
});

const folded = z.object({ chunks: z.number(), tail: z.boolean(), build: z.boolean() });
const built = z.object({ state: z.enum(["built", "idle", "busy"]), rows: z.number(), parts: z.number() });

export type MaintenanceOptions = {
  readonly keepOriginals: boolean;
  readonly activityRetentionDays: number;
  /** Memory of one index build. */
  readonly indexMemoryMb: number;
  /** false: no index is ever built, and searches scan. An embedded database would serve nobody meanwhile. */
  readonly buildsIndexes: boolean;
  /** Every slot has its job: what can wait leaves the database to these. */
  readonly isBusy?: () => boolean;
};

// At 0.06 ms a vector of 1,536 dimensions.
const VECTORS_A_CALL = 1000;
// Terms take some milliseconds a row (4.6 on a busy machine): a call stays below a second.
const TERMS_A_CALL = 200;
const GARBAGE_A_CALL = 1000;
// About a tenth of a second, too: each document is a row in the queue or a changed row of its own.
const SWITCHED_A_CALL = 200;
// Most calls in a row before other work of this loop has its turn.
const CALLS_IN_A_ROW = 50;
// While every slot has its job, filling terms may take this share of the time: at a third it took an eighth of the
// throughput of short documents, and kept up with a fifth of them.
const BUSY_SHARE = 0.1;
// Documents that go live one after the other share a round.
const GATHER_MS = 1000;
// Nobody tells when an original is needed no more.
const UNASKED_MS = 10 * 60_000;
// An index takes a core and longer than the ingestion of its rows; later it takes more rows at once. Until then searches
// scan what came in this time.
const BUILD_WAITS_MS = 60_000;
const DAY_MS = 86_400_000;

export function startMaintenance(
  call: SqlCall,
  activity: Activity,
  options: MaintenanceOptions,
): Maintenance {
  const stopping = new AbortController();
  let isWoken = true;
  let dropAt = 0;
  let fillAt = 0;
  let pause = new AbortController();
  let building: Promise<void> | null = null;
  let buildAskedAt: number | null = null;

  const wake = () => {
    isWoken = true;
    pause.abort();
  };
  const startBuild = () => {
    // Folding goes on beside it, and whatever fails is found again by the next round.
    building ??= buildIndexes(call, activity, options.indexMemoryMb, stopping.signal)
      // What filled up meanwhile is to be built too.
      .then(wake, () => {})
      .finally(() => {
        building = null;
      });
  };
  /** While every slot has its job an index waits, but not for ever. */
  const isTimeToBuild = (asked: boolean): boolean => {
    buildAskedAt = asked ? (buildAskedAt ?? performance.now()) : null;
    if (buildAskedAt === null) return false;
    const waits = options.isBusy?.() === true && performance.now() - buildAskedAt < BUILD_WAITS_MS;
    if (!waits) buildAskedAt = null;
    return !waits;
  };
  const fillInTurn = async () => {
    if (options.isBusy?.() === true && performance.now() < fillAt) return;
    const lastMs = await fillTerms(call, stopping.signal, options.isBusy);
    fillAt = performance.now() + lastMs * (1 / BUSY_SHARE - 1);
  };
  const round = async () => {
    // Each by itself: trouble with one must not keep the other from its work for ever. Trouble with the database is
    // seen and told by the claim loop.
    await advanceSwitch(call, stopping.signal).catch(() => {});
    await fillInTurn().catch(() => {});
    const asksForIndex = await foldVectors(call, options.indexMemoryMb, stopping.signal).catch(() => false);
    if (isTimeToBuild(asksForIndex && options.buildsIndexes)) startBuild();
    await collectGarbage(call, activity, options.keepOriginals, stopping.signal).catch(() => {});
    if (performance.now() < dropAt) return;
    dropAt = performance.now() + DAY_MS;
    await call("rag_drop_activity", { p_days: options.activityRetentionDays }).catch(() => {});
    const old = { older_than_days: options.activityRetentionDays };
    await call("rag_erase_dead_letters", { p_filter: old }).catch(() => {});
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
  return {
    wake,
    async stop() {
      stopping.abort();
      wake();
      await running;
      await building;
    },
  };
}

/**
 * Fills the search terms of what went live until none is left or the signal fires; answers how many milliseconds the
 * last call took. While the worker is busy one call has to do: until then a search by words reads the newest itself.
 */
async function fillTerms(call: SqlCall, signal: AbortSignal, isBusy = () => false): Promise<number> {
  let lastMs = 0;
  for (let calls = 0; calls < CALLS_IN_A_ROW && !signal.aborted; calls += 1) {
    const startedAt = performance.now();
    const answer = filled.parse(await call("rag_fill_terms", { p_limit: TERMS_A_CALL }));
    lastMs = performance.now() - startedAt;
    if (answer.chunks < TERMS_A_CALL || isBusy()) break;
  }
  return lastMs;
}

/** Copies the vectors of what went live into the parts; answers whether one of these should have an index. */
async function foldVectors(call: SqlCall, memoryMb: number, signal: AbortSignal): Promise<boolean> {
  let asksForIndex = false;
  for (let calls = 0; calls < CALLS_IN_A_ROW && !signal.aborted; calls += 1) {
    const answer = folded.parse(
      await call("rag_fold_vectors", { p_limit: VECTORS_A_CALL, p_memory_mb: memoryMb }),
    );
    asksForIndex = answer.build;
    if (!answer.tail) break;
  }
  return asksForIndex;
}

async function buildIndexes(call: SqlCall, activity: Activity, memoryMb: number, signal: AbortSignal) {
  for (let calls = 0; calls < CALLS_IN_A_ROW && !signal.aborted; calls += 1) {
    const startedAt = performance.now();
    const answer = built.parse(
      await call("rag_build_vectors", { p_memory_mb: memoryMb }, { signal, apart: true, once: true }),
    );
    if (answer.state !== "built") return;
    activity.say("vectors.indexed", {
      rows: answer.rows,
      parts: answer.parts,
      durationMs: Math.round(performance.now() - startedAt),
    });
  }
}

/** Moves a change of models on, if there is one, until it has to wait for jobs. */
export async function advanceSwitch(call: SqlCall, signal: AbortSignal): Promise<void> {
  for (let calls = 0; calls < CALLS_IN_A_ROW && !signal.aborted; calls += 1) {
    const { state } = advanced.parse(await call("rag_advance_switch", { p_limit: SWITCHED_A_CALL }));
    if (state === "idle" || state === "waiting") return;
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
