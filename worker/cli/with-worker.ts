// A worker in this process together with its status server, both ended whatever happens.
import { memoryBytes, type Parts } from "../assemble.ts";
import type { RunningWorker, WorkerOptions, WorkerState } from "../queue/worker-state.ts";
import { type StatusServer, startStatusServer } from "../status/status-server.ts";
import { orAborted } from "../timing/durations.ts";
import { versionOf } from "./version.ts";

/**
 * The status server comes first: a port that is taken is known before a job is claimed, and /live answers while
 * the worker starts. Throws what keeps a worker from starting: `config.*`, `database.*`, `embed.*`.
 */
export async function withWorker<Result>(
  parts: Parts,
  options: WorkerOptions,
  work: (worker: RunningWorker, status: StatusServer) => Promise<Result>,
): Promise<Result> {
  let running: RunningWorker | null = null;
  // The status server names the model. A provider that hangs must not keep us from stopping.
  if (options.signal !== undefined) await orAborted(parts.embedder(), options.signal);
  const status = await openStatus(parts, () => running?.state() ?? starting(parts));
  try {
    running = await parts.startWorker(options);
    return await work(running, status);
  } finally {
    await running?.stop("end");
    await status.close();
  }
}

const starting = ({ config }: Parts): WorkerState => ({
  workerId: config.workerId ?? "",
  condition: "starting",
  code: null,
  advice: null,
  jobs: 0,
  slots: config.jobConcurrency,
  loopAgeMs: 0,
  leaseAgeMs: null,
});

async function openStatus(parts: Parts, state: () => WorkerState): Promise<StatusServer> {
  const { config, activity, log, database } = parts;
  const embedder = await parts.embedder();
  return await startStatusServer({
    port: config.port,
    host: config.httpHost,
    token: config.httpToken,
    activity,
    log,
    state,
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
