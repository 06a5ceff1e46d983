// One worker process that drains a queue, watched from outside: how long, how much memory.
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const root = fileURLToPath(new URL("../..", import.meta.url));
const run = promisify(execFile);
// Each look costs 15 ms of a core that the worker could use.
const SAMPLE_MS = 500;

export type WorkerRun = {
  readonly seconds: number;
  /** Peak resident memory of the worker process alone, and of it with its children, in MB. */
  readonly peakMb: number;
  readonly peakTreeMb: number;
  readonly log: string;
};

/** Runs `rag worker --once` with these settings over the environment's PATH alone. Throws when it fails. */
export async function runWorkerOnce(settings: Readonly<Record<string, string>>): Promise<WorkerRun> {
  const startedAt = performance.now();
  const child = spawn(process.execPath, ["worker/main.ts", "worker", "--once", "--json"], {
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
  let log = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      log += text;
    });
  }
  let peakMb = 0;
  let peakTreeMb = 0;
  const sampler = setInterval(async () => {
    const memory = await memoryOfTree(child.pid ?? 0);
    peakMb = Math.max(peakMb, memory.own);
    peakTreeMb = Math.max(peakTreeMb, memory.tree);
  }, SAMPLE_MS);
  const [code] = await once(child, "close");
  clearInterval(sampler);
  // 1 says that some documents failed, which is part of the result.
  if (code !== 0 && code !== 1) throw new Error(`The worker ended with ${code}:\n${log.slice(-4000)}`);
  return { seconds: (performance.now() - startedAt) / 1000, peakMb, peakTreeMb, log };
}

async function memoryOfTree(pid: number): Promise<{ own: number; tree: number }> {
  const { stdout } = await run("ps", ["-A", "-o", "pid=,ppid=,rss="]).catch(() => ({ stdout: "" }));
  const rows = stdout
    .trim()
    .split("\n")
    .map((line) => line.trim().split(/\s+/).map(Number));
  const family = new Set([pid]);
  let own = 0;
  let tree = 0;
  // Children come after their parents in time, not always in order of pid: a few rounds reach everybody.
  for (let round = 0; round < 4; round += 1) {
    for (const [id = 0, parent = 0] of rows) if (family.has(parent)) family.add(id);
  }
  for (const [id = 0, , kilobytes = 0] of rows) {
    if (id === pid) own = kilobytes / 1024;
    if (family.has(id)) tree += kilobytes / 1024;
  }
  return { own, tree };
}
