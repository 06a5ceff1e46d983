// Our worker's real claim loop, lease keeper and transport, with a pipeline that returns at once.
import { setTimeout as sleep } from "node:timers/promises";
import { openActivity } from "../../../worker/activity/activity.ts";
import { openPostgres } from "../../../worker/database/postgres.ts";
import { postgresLines } from "../../../worker/database/postgres-line.ts";
import type { SqlCall } from "../../../worker/document/sql-call.ts";
import { openLeaseKeeper } from "../../../worker/queue/lease-keeper.ts";
import { startWorker } from "../../../worker/queue/worker.ts";
import type { RunningWorker } from "../../../worker/queue/worker-state.ts";
import { openWakeBus } from "../../../worker/wake-buses/open-wake-bus.ts";
import { busConfig } from "./buses.ts";
import { monotonicMs } from "./clock.ts";
import { DrainClock, takePart } from "./part.ts";

const LEASE_SECONDS = 60;
// As the product's defaults have them.
const POOL = { poolMax: 3, poolTimeoutSeconds: 30 };
const IDLE_MS = 10_000;

await takePart(async (part) => {
  const { url, fetch, jobMs, tellStarts, mode } = part.settings;
  const database = await openPostgres({ url, ...POOL });
  await database.call("rag_queue_stats", {});
  const clock = new DrainClock();
  const call: SqlCall = async (name, args, options) => {
    const sentAt = monotonicMs();
    const answer = await database.call(name, args, options);
    const { claimed, settled } = whatCame(name, answer);
    clock.claimed(sentAt, claimed);
    if (settled) clock.settled(monotonicMs());
    return answer;
  };
  const activity = openActivity();
  const identity = { workerId: `bench-${process.pid}`, leaseSeconds: LEASE_SECONDS };
  const keeper = openLeaseKeeper({
    ...identity,
    activity,
    call: database.call,
    stallSeconds: 300,
    connection: {
      databaseUrl: url,
      supabaseUrl: null,
      supabaseKey: null,
      embeddedDir: ".rag",
      poolMax: 2,
      poolTimeoutSeconds: 30,
    },
  });
  await keeper.begin();
  let worker: RunningWorker | null = null;
  const bus = await openWakeBus({ ...busConfig(part.settings), activity, openLine: postgresLines(url) }, () =>
    worker?.wake(),
  );
  await part.ready();
  worker = startWorker(
    {
      call,
      activity,
      keeper,
      hints: bus,
      run: async (job) => {
        if (tellStarts) part.started(job.tenantId, monotonicMs());
        clock.ran(1);
        if (jobMs > 0) await sleep(jobMs);
        return { kind: "complete", chunks: 0, segments: 0, rejected: 0, unchanged: true };
      },
    },
    {
      ...identity,
      kinds: ["document"],
      // Twice the fetch size keeps two claims going, as graphile-worker's local queue fetches ahead.
      slots: mode === "drain" && fetch > 1 ? 2 * fetch : fetch,
      batch: fetch,
      idleMs: IDLE_MS,
      graceMs: 5000,
      memoryBytes: Number.POSITIVE_INFINITY,
      once: mode === "drain",
      watches: true,
    },
  );
  const running = worker;
  void part.stopped.then(() => running.stop("bench"));
  await running.ended;
  await bus.close();
  await keeper.stop();
  await database.close();
  return clock.drained();
});

/** Jobs that the call brought, and whether it settled any; read from the answers that the worker reads too. */
function whatCame(name: string, answer: unknown): { readonly claimed: number; readonly settled: boolean } {
  if (name !== "rag_settle_and_claim") return { claimed: 0, settled: name === "rag_complete_job" };
  const both = answer as {
    readonly jobs?: { readonly job_id: readonly unknown[] } | null;
    readonly settled?: readonly unknown[] | null;
  };
  return { claimed: both.jobs?.job_id.length ?? 0, settled: (both.settled ?? null) !== null };
}
