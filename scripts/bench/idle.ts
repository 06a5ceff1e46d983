// What replicas that wait for work ask of the database: all their transactions a second, and their memory.
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { startEmbeddingServer } from "../../worker/tests/stand-ins/embedding-server.ts";
import { quantile } from "./contestants/quantiles.ts";
import type { BenchOptions, Report } from "./figure.ts";
import { watchTree } from "./process-tree.ts";
import { spawnWorker } from "./worker-run.ts";
import { openPostgresWorld } from "./worlds.ts";

const REPLICAS = 10;
/** Their looks at the queue have slowed down by then, and sessions have handed in what they counted. */
const SETTLE_DOWN_MS = 20_000;
const WINDOWS = 7;
const WINDOW_SECONDS = 10;

/** --jobs N: so many replicas. */
export async function benchIdle(report: Report, options: BenchOptions): Promise<void> {
  const replicas = options.jobs ?? REPLICAS;
  const world = await openPostgresWorld();
  const provider = await startEmbeddingServer({ dimensions: 8 });
  const settings = {
    ...world.settings,
    OPENAI_BASE_URL: provider.baseUrl,
    OPENAI_API_KEY: "sk-bench",
    RAG_EMBEDDING_MODEL: "stand-in",
    RAG_EMBEDDING_DIMENSIONS: "8",
    LOG_LEVEL: "info",
  };
  const workers = Array.from({ length: replicas }, () => spawnWorker(settings));
  const watches = workers.map(({ pid }) => watchTree(pid ?? 0));
  const figure = { bench: "idle", case: `${replicas} replicas, LISTEN`, contestant: "postgres" };
  try {
    await Promise.all(workers.map(untilReady));
    options.progress(`${replicas} replicas are ready; they are watched for ${WINDOWS * WINDOW_SECONDS} s`);
    await sleep(SETTLE_DOWN_MS);
    const rates = await world.withSession(async (session) => {
      const read = async () => {
        const [row] = await session.query(
          "select xact_commit from pg_stat_database where datname = current_database()",
        );
        return Number(row?.xact_commit);
      };
      const measured: number[] = [];
      for (let before = await read(); measured.length < WINDOWS; ) {
        await sleep(WINDOW_SECONDS * 1000);
        const now = await read();
        // One of them is our own look before.
        measured.push((now - before - 1) / WINDOW_SECONDS);
        before = now;
      }
      return measured;
    });
    // Autovacuum visits a new database now and then, with hundreds of transactions at once: not in the median.
    report({ ...figure, metric: "transactions", value: quantile(rates, 0.5), unit: "1/s" });
    const peaks = watches.map((watch) => watch.stop().peakTreeMb);
    report({ ...figure, metric: "peak RSS, each tree", value: Math.max(...peaks), unit: "MB" });
  } finally {
    for (const worker of workers) worker.kill("SIGTERM");
    await Promise.all(workers.map((worker) => worker.exitCode ?? once(worker, "close")));
    await provider.close();
    await world.close();
  }
}

/** Its log goes on being read, for a worker whose log nobody takes stops. */
function untilReady(worker: ReturnType<typeof spawnWorker>): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let said = "";
  for (const stream of [worker.stdout, worker.stderr])
    stream.setEncoding("utf8").on("data", (text: string) => {
      said = (said + text).slice(-2000);
      if (said.includes("worker ready")) resolve();
    });
  worker.once("close", () => reject(new Error(`A worker did not start:\n${said}`)));
  return promise;
}
