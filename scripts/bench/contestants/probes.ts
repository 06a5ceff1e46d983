// How long one look at the queue takes, asked from the parent while no worker runs: an empty poll, and a claim of
// some jobs with their settlement behind it. Each through its own code, as its worker would ask.
import { setImmediate as turn } from "node:timers/promises";
import { runOnce } from "graphile-worker";
import { openPostgres } from "../../../worker/database/postgres.ts";
import { openBoss, QUEUE } from "./boss.ts";
import { monotonicMs } from "./clock.ts";
import type { ContestantName } from "./contestant.ts";
import { newEvents, openPool, silentLogger } from "./graphile-settings.ts";

export type Probe = {
  /** Milliseconds of one claim; the jobs are settled afterwards. With nothing ready: of one empty poll. */
  claim(jobs: number): Promise<number>;
  close(): Promise<void>;
};

type OpenProbe = (url: string) => Promise<Probe>;

export const openProbes: Readonly<Record<Exclude<ContestantName, "bare">, OpenProbe>> = {
  ours: openOurs,
  "graphile-worker": openGraphile,
  "pg-boss": openPgBoss,
};

type Claimed = {
  readonly jobs?: { readonly job_id: readonly string[]; readonly lease_token: readonly string[] } | null;
};

async function openOurs(url: string): Promise<Probe> {
  const database = await openPostgres({ url, poolMax: 1, poolTimeoutSeconds: 30 });
  const ask = async (settled: readonly object[], slots: number) =>
    (await database.call("rag_settle_and_claim", {
      p_worker: "probe",
      p_settled: settled,
      p_slots: slots,
      p_kinds: ["document"],
      p_lease_seconds: 60,
    })) as Claimed; // SAFETY: written by the function's own json_build_object.
  return {
    async claim(jobs) {
      const askedAt = monotonicMs();
      const { jobs: claimed } = await ask([], jobs);
      const ms = monotonicMs() - askedAt;
      const settled = (claimed?.job_id ?? []).map((id, place) => ({
        job_id: id,
        lease_token: claimed?.lease_token[place],
        transition: "complete",
        chunks: 0,
        segments: 0,
      }));
      if (settled.length > 0) await ask(settled, 0);
      return ms;
    },
    close: () => database.close(),
  };
}

async function openPgBoss(url: string): Promise<Probe> {
  const boss = openBoss(url);
  await boss.start();
  await boss.getQueue(QUEUE);
  return {
    async claim(jobs) {
      const askedAt = monotonicMs();
      const claimed = await boss.fetch(QUEUE, { batchSize: jobs });
      const ms = monotonicMs() - askedAt;
      const ids = claimed.map((job) => job.id);
      if (ids.length > 0) await boss.complete(QUEUE, ids);
      return ms;
    },
    close: () => boss.stop({ graceful: false }),
  };
}

/**
 * Has no call for one claim: a pool that runs once asks for jobs, and says when it asked and that some came. It goes
 * on until nothing is ready, so that there must be as many jobs as are to be claimed.
 */
async function openGraphile(url: string): Promise<Probe> {
  const pgPool = openPool(url, 3);
  return {
    async claim(jobs) {
      const events = newEvents();
      let askedAt: number | null = null;
      let ms: number | null = null;
      const answered = () => {
        if (askedAt !== null) ms ??= monotonicMs() - askedAt;
      };
      events.on("worker:getJob:start", () => {
        askedAt ??= monotonicMs();
      });
      events.on("worker:getJob:empty", answered);
      events.on("job:start", answered);
      const batched = { localQueue: { size: jobs }, completeJobBatchDelay: 0 };
      await runOnce({
        preset: { worker: { ...(jobs > 1 ? batched : {}), logger: silentLogger, events } },
        pgPool,
        taskList: { document: () => {} },
        noHandleSignals: true,
      });
      await turn();
      return ms ?? Number.NaN;
    },
    close: () => pgPool.end(),
  };
}
