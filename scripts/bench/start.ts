// How long a person waits for `rag --help`, and how long a queue waits for a worker that has just been started: from
// the start of the process to the claim of a job that was there, on Postgres, with a provider that answers at once.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { startEmbeddingServer } from "../../worker/tests/stand-ins/embedding-server.ts";
import { quantile } from "./contestants/quantiles.ts";
import type { BenchOptions, Report } from "./figure.ts";
import { spawnWorker } from "./worker-run.ts";
import { type BenchWorld, openPostgresWorld } from "./worlds.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const ROUNDS = 7;

/** `cpuMs` is the process's own, without its children; null where nobody tells. */
type Started = { readonly ms: number; readonly cpuMs: number | null };

export async function benchStart(report: Report, options: BenchOptions): Promise<void> {
  const rounds = options.rounds ?? ROUNDS;
  const measure = async (name: string, start: () => Promise<Started>) => {
    if (!name.includes(options.only ?? "")) return;
    const seen: Started[] = [];
    // The first one fills the file cache.
    for (let round = -1; round < rounds; round += 1) {
      const one = await start();
      if (round >= 0) seen.push(one);
    }
    const figure = { bench: "start", case: name, contestant: "ours", unit: "ms" };
    report({
      ...figure,
      metric: "median",
      value: quantile(
        seen.map(({ ms }) => ms),
        0.5,
      ),
    });
    const cpu = seen.flatMap(({ cpuMs }) => cpuMs ?? []);
    if (cpu.length > 0) report({ ...figure, metric: "CPU median", value: quantile(cpu, 0.5) });
  };
  await measure("node -e 0", () => runCommand(["-e", "0"]));
  await measure("rag --help", () => runCommand(["bin/rag.mjs", "--help"]));
  const world = await openPostgresWorld();
  try {
    const openai = await startEmbeddingServer({ dimensions: 384 });
    const provided = {
      OPENAI_API_KEY: "k",
      OPENAI_BASE_URL: openai.baseUrl,
      RAG_EMBEDDING_MODEL: "stand-in",
      RAG_EMBEDDING_DIMENSIONS: "384",
    };
    try {
      await measure("claim, openai", () => startWorker(world, provided));
    } finally {
      await openai.close();
    }
  } finally {
    await world.close();
  }
  // Another model: a database of its own.
  const embedded = await openPostgresWorld();
  try {
    await measure("claim, embedded model", () => startWorker(embedded, {}));
  } finally {
    await embedded.close();
  }
}

async function runCommand(args: readonly string[]): Promise<Started> {
  const startedAt = performance.now();
  const child = spawn(process.execPath, args, { cwd: root, stdio: "ignore" });
  await once(child, "exit");
  return { ms: performance.now() - startedAt, cpuMs: null };
}

async function startWorker(world: BenchWorld, provider: Readonly<Record<string, string>>): Promise<Started> {
  await world.withSession((session) =>
    session.query("select public.rag_enqueue($1::jsonb)", [{ content: `A text of ${performance.now()}.` }]),
  );
  const startedAt = performance.now();
  const child = spawnWorker({ ...world.settings, ...provider });
  child.stdout.resume();
  const claimed = Promise.withResolvers<Started>();
  let log = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    log += text;
    if (log.includes('"job.claimed"'))
      claimed.resolve({ ms: performance.now() - startedAt, cpuMs: cpuOf(child.pid) });
  });
  const ended = once(child, "close");
  ended.then(([code]) => claimed.reject(new Error(`The worker ended with ${code}:\n${log.slice(-2000)}`)));
  try {
    return await claimed.promise;
  } finally {
    child.kill("SIGTERM");
    await ended;
  }
}

/** Of Linux, whose clock of processes ticks a hundred times a second. */
function cpuOf(pid: number | undefined): number | null {
  try {
    const [, after = ""] = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ");
    const fields = after.split(" ");
    return (Number(fields[11]) + Number(fields[12])) * 10;
  } catch {
    return null;
  }
}
