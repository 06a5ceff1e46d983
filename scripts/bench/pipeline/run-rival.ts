// Runs one contestant of the pipeline bench against a fresh provider and a fresh database, and watches it.
import { fork } from "node:child_process";
import { once } from "node:events";
import { z } from "zod";
import { startProvider } from "../ingest-provider.ts";
import { watchTree } from "../process-tree.ts";
import { runWorkerOnce } from "../worker-run.ts";
import { type BenchWorld, enqueueFiles, openPostgresWorld, resultOf } from "../worlds.ts";
import type { RivalName, RivalSettings } from "./rival.ts";

export type Run = {
  readonly chunks: number;
  /** Start of the first document to the last stored vector; loading and connecting are not counted. */
  readonly seconds: number;
  readonly requests: number;
  /** Texts the provider got: fewer than chunks where some were not sent. */
  readonly texts: number;
  readonly peakMb: number;
  readonly cpuSeconds: number;
};

export type Shape = Omit<RivalSettings, "databaseUrl" | "baseUrl">;

// A provider's round trip.
const LATENCY_MS = 25;
const LATENCY_PER_INPUT_MS = 0.2;
// A peer that hangs or crawls would hold up the others.
const MOST_MS = 15 * 60_000;

const Answer = z.object({ chunks: z.number(), seconds: z.number() });

export async function runRival(name: RivalName | "ours", shape: Shape): Promise<Run> {
  const world = await openPostgresWorld();
  const provider = await startProvider({
    dimensions: shape.dimensions,
    latencyMs: LATENCY_MS,
    latencyPerInputMs: LATENCY_PER_INPUT_MS,
  });
  const databaseUrl = world.settings.DATABASE_URL ?? "";
  try {
    const run =
      name === "ours"
        ? await runOurs(world, { ...shape, databaseUrl, baseUrl: provider.baseUrl })
        : await runPeer(name, world, { ...shape, databaseUrl, baseUrl: provider.baseUrl });
    return { ...run, ...(await provider.seen()) };
  } finally {
    await provider.close();
    await world.close();
  }
}

// Short documents fill a request only together: five a request at seventeen chunks each.
const JOBS_A_REQUEST = 8;

async function runOurs(world: BenchWorld, settings: RivalSettings) {
  await enqueueFiles(world, settings.names);
  const run = await runWorkerOnce({
    ...world.settings,
    OPENAI_BASE_URL: settings.baseUrl,
    OPENAI_API_KEY: "sk-bench",
    RAG_EMBEDDING_MODEL: settings.model,
    RAG_EMBEDDING_BATCH: String(settings.batch),
    RAG_EMBEDDING_CONCURRENCY: String(settings.concurrency),
    RAG_EMBEDDING_CHAR_LIMIT: String(settings.chunkChars),
    RAG_JOB_CONCURRENCY: String(settings.concurrency * JOBS_A_REQUEST),
    RAG_DOCUMENT_ROOT: settings.root,
    LOG_LEVEL: "warn",
  });
  const result = await resultOf(world);
  if (result.failed > 0) throw new Error(`${result.failed} documents failed:\n${run.log.slice(-2000)}`);
  return { ...result, peakMb: run.peakTreeMb, cpuSeconds: run.cpuSeconds };
}

async function runPeer(name: RivalName, world: BenchWorld, settings: RivalSettings) {
  // The peers ask for the type vector without saying where it is.
  await world.withSession((session) =>
    session.query(
      `do $$ begin execute format('alter database %I set search_path = public, extensions', current_database()); end $$`,
    ),
  );
  const child = fork(new URL("./rival-process.ts", import.meta.url), [name, JSON.stringify(settings)], {
    env: { PATH: process.env.PATH, HOME: process.env.HOME },
    stdio: ["ignore", "ignore", "pipe", "ipc"],
  });
  let stderr = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    stderr = (stderr + text).slice(-2000);
  });
  const watch = watchTree(child.pid ?? 0);
  const tooLong = setTimeout(() => child.kill("SIGKILL"), MOST_MS);
  let answer: unknown = null;
  child.on("message", (message) => {
    answer = message;
  });
  const [code, signal] = await once(child, "close");
  clearTimeout(tooLong);
  const { peakTreeMb: peakMb, cpuSeconds } = watch.stop();
  const read = Answer.safeParse(answer);
  if (!read.success || code !== 0)
    throw new Error(`${name} ended with ${String(code ?? signal)} and ${Math.round(peakMb)} MB: ${stderr}`);
  return { ...read.data, peakMb, cpuSeconds };
}
