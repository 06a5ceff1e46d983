// The status server of a worker that runs in this process.
import { readFile } from "node:fs/promises";
import { z } from "zod";
import { memoryBytes, type Parts } from "../assemble.ts";
import type { RunningWorker } from "../queue/worker-state.ts";
import { type StatusServer, startStatusServer } from "../status/status-server.ts";

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
    version: await versionOf(),
    memoryBytes: memoryBytes(config),
  });
}

/** From package.json, so that a release changes one file. */
export async function versionOf(): Promise<string> {
  const text = await readFile(new URL("../../package.json", import.meta.url), "utf8");
  return z.object({ version: z.string() }).parse(JSON.parse(text)).version;
}
