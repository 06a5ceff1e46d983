// A worker in this process together with its status server, both ended whatever happens.
import type { Parts } from "../assemble.ts";
import type { RunningWorker, WorkerOptions, WorkerState } from "../queue/worker-state.ts";
import type { Gateway } from "../realtime/gateway.ts";
import type { StatusServer } from "../status/status-server.ts";
import { orAborted } from "../timing/durations.ts";
import { hintsOf } from "./wake-workers.ts";

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
  const { config } = parts;
  // What others load, on other cores or over the network, loads beside what follows.
  void parts.extractors().warm();
  const embedder = parts.embedder();
  embedder.catch(() => {});
  const { openStatus } = await import("./open-status.ts");
  // The status server names the model. A provider that hangs must not keep us from stopping.
  if (options.signal !== undefined) await orAborted(embedder, options.signal);
  const gateway = config.gateway ? await openGatewayHere(parts) : null;
  const hints = await hintsOf(parts);
  const wake = (jobId: string | null) => {
    running?.wake();
    if (jobId !== null) hints.send({ jobId, documentId: null });
  };
  const state = () => running?.state() ?? starting(parts);
  const status = await openStatus(parts, { state, gateway, wake }).catch(async (thrown: unknown) => {
    await gateway?.close();
    throw thrown;
  });
  try {
    running = await parts.startWorker(options);
    return await work(running, status);
  } finally {
    await running?.stop("end");
    await Promise.all([status.close(), gateway?.close(), hints.close()]);
  }
}

/** Loaded only for those who serve one. */
async function openGatewayHere({ config, activity, realtime }: Parts): Promise<Gateway> {
  const { openConfiguredGateway } = await import("../realtime/open-gateway.ts");
  return openConfiguredGateway(config, activity, realtime());
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
