// A worker in this process together with its status server, both ended whatever happens.
import type { Parts } from "../assemble.ts";
import { copyLimits, memoryBytes } from "../derived-options.ts";
import { openHttpWays } from "../ingress/http-ways.ts";
import type { RunningWorker, WorkerOptions, WorkerState } from "../queue/worker-state.ts";
import type { Gateway } from "../realtime/gateway.ts";
import { openChannels } from "../status/alerts/channels.ts";
import { type StatusServer, startStatusServer } from "../status/status-server.ts";
import { orAborted } from "../timing/durations.ts";
import { versionOf } from "./version.ts";
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
  // The status server names the model. A provider that hangs must not keep us from stopping.
  if (options.signal !== undefined) await orAborted(parts.embedder(), options.signal);
  const { config } = parts;
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

type Joined = {
  readonly state: () => WorkerState;
  readonly gateway: Gateway | null;
  /** null: whatever an action has made ready. */
  readonly wake: (jobId: string | null) => void;
};

async function openStatus(parts: Parts, { state, gateway, wake }: Joined): Promise<StatusServer> {
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
    activityLog: () => parts.activityLog().figures(),
    describe: {
      database: database.describes,
      transport: database.transport,
      provider: embedder.provider,
      model: embedder.model,
    },
    version: versionOf(),
    server: embedder.server,
    memoryBytes: memoryBytes(config),
    searchable: parts,
    posts: openHttpWays({
      call: database.call,
      log,
      copies: copyLimits(config),
      originals: config,
      prepare: parts.sources,
      wake,
    }),
    ...(gateway !== null && { gateway: { upgrade: gateway.upgrade, figures: gateway.figures } }),
    wake: () => wake(null),
    alerts: {
      channels: openChannels(config),
      publicUrl: config.publicUrl,
      limits: {
        jobSeconds: config.alertJobSeconds,
        queueSeconds: config.alertQueueSeconds,
        budgetUsd: config.dailyBudgetUsd,
      },
    },
    budgetUsd: config.dailyBudgetUsd,
  });
}
