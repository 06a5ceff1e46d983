// A worker in this process together with its status server, both ended whatever happens.
import { memoryBytes, type Parts } from "../assemble.ts";
import type { RunningWorker, WorkerOptions } from "../queue/worker-state.ts";
import { type StatusServer, startStatusServer } from "../status/status-server.ts";
import { versionOf } from "./version.ts";

/** Throws what keeps a worker from starting: `config.*`, `database.*`, `embed.*`. */
export async function withWorker<Result>(
  parts: Parts,
  options: WorkerOptions,
  work: (worker: RunningWorker, status: StatusServer) => Promise<Result>,
): Promise<Result> {
  const worker = await parts.startWorker(options);
  try {
    const status = await openStatus(parts, worker);
    try {
      return await work(worker, status);
    } finally {
      await worker.stop("end");
      await status.close();
    }
  } finally {
    await worker.stop("end");
  }
}

async function openStatus(parts: Parts, running: RunningWorker): Promise<StatusServer> {
  const { config, activity, log, database } = parts;
  const embedder = await parts.embedder();
  return await startStatusServer({
    port: config.port,
    host: config.httpHost,
    token: config.httpToken,
    activity,
    log,
    state: () => running.state(),
    stats: () => database.call("rag_queue_stats", {}),
    describe: {
      database: database.describes,
      transport: database.transport,
      provider: embedder.provider,
      model: embedder.model,
    },
    version: versionOf(),
    memoryBytes: memoryBytes(config),
  });
}
