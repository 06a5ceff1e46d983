// The status server of a worker: what it answers from, and what it may do.
import type { Parts } from "../assemble.ts";
import { copyLimits, memoryBytes } from "../derived-options.ts";
import { openHttpWays } from "../ingress/http-ways.ts";
import type { WorkerState } from "../queue/worker-state.ts";
import type { Gateway } from "../realtime/gateway.ts";
import { openChannels } from "../status/alerts/channels.ts";
import { type StatusServer, startStatusServer } from "../status/status-server.ts";
import { versionOf } from "./version.ts";

export type Joined = {
  readonly state: () => WorkerState;
  readonly gateway: Gateway | null;
  /** null: whatever an action has made ready. */
  readonly wake: (jobId: string | null) => void;
};

export async function openStatus(parts: Parts, { state, gateway, wake }: Joined): Promise<StatusServer> {
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
