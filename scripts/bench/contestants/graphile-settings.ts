// graphile-worker's settings as its documentation gives them, and the places where its times are read.
// Source: worker.graphile.org/docs/performance ("Quick stats" configuration and "Batching").
import { EventEmitter } from "node:events";
import { Logger, type WorkerEvents } from "graphile-worker";
import pg from "pg";
import { monotonicMs } from "./clock.ts";
import type { DrainClock } from "./part.ts";

// The documentation's numbers: 24 jobs at once, one more connection, batches of completions without delay.
const CONCURRENT_JOBS = 24;
const DEFAULT_POOL = 10;

export const silentLogger = new Logger(() => () => {});

export const newEvents = (): WorkerEvents => new EventEmitter() as WorkerEvents;

/** `fetch` 1 is its default preset: one job at once, each fetched and completed by itself. */
export function workerSettings(fetch: number): GraphileConfig.WorkerOptions {
  if (fetch === 1) return {};
  return {
    concurrentJobs: CONCURRENT_JOBS,
    localQueue: { size: fetch },
    completeJobBatchDelay: 0,
    failJobBatchDelay: 0,
  };
}

/** A pool as the library would make it. What an idle connection meets is met again by the next statement. */
export function openPool(url: string, max: number): pg.Pool {
  const pool = new pg.Pool({ connectionString: url, max });
  pool.on("error", () => {});
  pool.on("connect", (client) => client.on("error", () => {}));
  return pool;
}

/** One on which we see when it deleted its last finished job: its own "job:complete" comes before that. */
export function openTimedPool(url: string, fetch: number, clock: DrainClock): pg.Pool {
  const pool = openPool(url, fetch === 1 ? DEFAULT_POOL : CONCURRENT_JOBS + 1);
  pool.on("connect", (client) => {
    const query = client.query.bind(client) as (...given: unknown[]) => Promise<unknown>;
    const timed = async (...given: unknown[]) => {
      const answer = await query(...given);
      if (isCompletion(given[0])) clock.settled(monotonicMs());
      return answer;
    };
    Object.assign(client, { query: timed });
  });
  return pool;
}

function isCompletion(query: unknown): boolean {
  if (typeof query !== "object" || query === null || !("text" in query)) return false;
  return String(query.text).startsWith("delete from");
}
