// The status server of a worker that runs in this process.
import { memoryBytes, type Parts } from "../assemble.ts";
import type { RunningWorker } from "../queue/worker-state.ts";
import { type StatusServer, startStatusServer } from "../status/status-server.ts";
import { versionOf } from "./version.ts";

/** Throws `config.invalid` when the port or address cannot be had. */
export async function openStatus(parts: Parts, running: RunningWorker): Promise<StatusServer> {
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
