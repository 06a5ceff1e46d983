// Where a run takes place: a database of its own with the history installed, a provider, four workers behind
// their proxies, and a workload. Opened in one go, closed in one go.
import { tmpdir } from "node:os";
import { join } from "node:path";
import type postgres from "postgres";
import { type EmbeddingServer, startEmbeddingServer } from "../../stand-ins/embedding-server.ts";
import { type Fleet, type FleetOptions, startFleet } from "./fleet.ts";
import type { OwnPostgres } from "./own-postgres.ts";
import { inTime } from "./patience.ts";
import { POISON } from "./texts.ts";
import { openRunDatabase } from "./undisturbed.ts";
import { startWorkload, type Workload, type WorkloadOptions } from "./workload.ts";

export const LEASE_SECONDS = 2;

/** The settings of a run's workers, beside `raceSettings`. */
export const settings: Readonly<Record<string, string>> = {
  RAG_LEASE_SECONDS: String(LEASE_SECONDS),
  RAG_JOB_CONCURRENCY: "4",
  RAG_GRACE_SECONDS: "4",
  RAG_POOL_TIMEOUT_SECONDS: "5",
  // Small requests to a slow provider: jobs live long enough to be hit in mid-run.
  RAG_EMBEDDING_BATCH: "4",
  RAG_EMBEDDING_CONCURRENCY: "2",
  // Workers are started by the hundred.
  NODE_COMPILE_CACHE: join(tmpdir(), "rag-faults-compiled"),
};

export type Arena = {
  readonly sql: postgres.Sql;
  readonly fleet: Fleet;
  readonly server: Pick<OwnPostgres, "restart">;
  readonly workload: Workload;
  close(): Promise<void>;
};

export type ArenaOptions = {
  readonly seed: number;
  readonly berths?: FleetOptions["berths"];
  readonly environment?: Readonly<Record<string, string>>;
  /** How long the provider takes for a request. */
  readonly latencyMs?: number;
  readonly work?: Partial<WorkloadOptions>;
  /** Changes the database before the first worker starts. */
  readonly prepare?: (sql: postgres.Sql) => Promise<void>;
};

const CLOSE_MS = 30_000;
const LATENCY_MS = 400;
const WORK = { backlog: 24, pauseMs: 150, mostChunks: 40, calm: false };

/** Resolves when every worker says that it works. */
export async function openArena(own: OwnPostgres, options: ArenaOptions): Promise<Arena> {
  const database = await openRunDatabase(own);
  const { sql } = database;
  let embedding: EmbeddingServer | null = null;
  let fleet: Fleet | null = null;
  let workload: Workload | null = null;
  const close = async () => {
    // Nothing of it may keep a run from ending: a query that a restart swallowed never does.
    for (const part of [workload?.stop(), fleet?.close(), embedding?.close()])
      await inTime(CLOSE_MS, "A part of the arena did not close", part ?? Promise.resolve()).catch(() => {});
    await database.close();
  };
  try {
    await options.prepare?.(sql);
    const latencyMs = options.latencyMs ?? LATENCY_MS;
    embedding = await startEmbeddingServer({ dimensions: 8, latencyMs, poison: POISON });
    fleet = await startFleet({
      url: own.url(database.name),
      pgbouncerUrl: own.pgbouncerUrl(database.name),
      embeddingUrl: embedding.baseUrl,
      environment: { ...settings, ...options.environment },
      ...(options.berths !== undefined && { berths: options.berths }),
    });
    await Promise.all(fleet.berths.map((berth) => berth.ready()));
    workload = startWorkload(sql, { seed: options.seed, ...WORK, ...options.work });
    return { sql, fleet, server: own, workload, close };
  } catch (thrown) {
    await close();
    throw thrown;
  }
}
