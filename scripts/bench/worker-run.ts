// One worker process that drains a queue, watched from outside: how long, how much memory and CPU.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { type TreeCosts, watchTree } from "./process-tree.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

export type WorkerRun = TreeCosts & { readonly seconds: number; readonly log: string };

/** Runs `rag worker --once` with these settings over the environment's PATH alone. Throws when it fails. */
export async function runWorkerOnce(settings: Readonly<Record<string, string>>): Promise<WorkerRun> {
  const startedAt = performance.now();
  const child = spawnWorker(settings, "--once");
  let log = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      log += text;
    });
  }
  const watch = watchTree(child.pid ?? 0);
  const [code] = await once(child, "close");
  const costs = watch.stop();
  // 1 says that some documents failed, which is part of the result.
  if (code !== 0 && code !== 1) throw new Error(`The worker ended with ${code}:\n${log.slice(-4000)}`);
  return { ...costs, seconds: (performance.now() - startedAt) / 1000, log };
}

/** Starts `rag worker` with these settings over the environment's PATH alone; its log comes on both streams. */
export function spawnWorker(settings: Readonly<Record<string, string>>, ...more: readonly string[]) {
  return spawn(process.execPath, [...profiling(), "bin/rag.mjs", "worker", "--json", ...more], {
    cwd: root,
    env: {
      PATH: process.env.PATH,
      HOME: process.env.HOME,
      PORT: "0",
      RAG_HTTP_HOST: "127.0.0.1",
      ...settings,
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
}

/** RAG_BENCH_PROFILE=DIR writes a CPU profile of the worker there. */
function profiling(): string[] {
  const folder = process.env.RAG_BENCH_PROFILE;
  return folder ? ["--cpu-prof", `--cpu-prof-dir=${folder}`] : [];
}
