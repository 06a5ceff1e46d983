// A real worker in a process of its own, on a real Postgres, embedding at a stand-in server: for tests that
// kill, freeze and race it.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

const ownMain = fileURLToPath(new URL("../../main.ts", import.meta.url));

export type WorkerProcess = {
  readonly child: ChildProcess;
  readonly id: string;
  /** Every line it wrote so far, logs and results. */
  readonly lines: readonly string[];
  /** Resolves with the first line, past or to come, that contains the text; rejects when the process ends first. */
  line(text: string): Promise<string>;
  signal(name: NodeJS.Signals): void;
  /** Resolves with the exit code, or the signal's name. */
  readonly ended: Promise<number | string>;
};

export type WorkerSetting = {
  /** null: the environment says where the database is. */
  readonly databaseUrl: string | null;
  readonly embeddingUrl: string;
  readonly id: string;
  /** The entry of another version; without it this tree's. */
  readonly main?: string;
  readonly arguments?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
};

/** The settings under which every race runs: short leases and polls, chunks of one paragraph. */
export const raceSettings = {
  RAG_LEASE_SECONDS: "3",
  RAG_POLL_INTERVAL_MS: "300",
  RAG_EMBEDDING_MODEL: "stand-in",
  RAG_EMBEDDING_DIMENSIONS: "8",
  RAG_EMBEDDING_CHAR_LIMIT: "120",
  OPENAI_API_KEY: "sk-race",
  PORT: "0",
  RAG_HTTP_HOST: "127.0.0.1",
  LOG_LEVEL: "info",
};

export function startWorkerProcess(setting: WorkerSetting): WorkerProcess {
  const main = setting.main ?? ownMain;
  const child = spawn(process.execPath, [main, "worker", "--json", ...(setting.arguments ?? [])], {
    cwd: fileURLToPath(new URL("../../..", import.meta.url)),
    env: {
      PATH: process.env.PATH,
      HOME: process.env.HOME,
      ...raceSettings,
      ...(setting.databaseUrl === null ? {} : { DATABASE_URL: setting.databaseUrl }),
      OPENAI_BASE_URL: setting.embeddingUrl,
      RAG_WORKER_ID: setting.id,
      ...setting.environment,
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const lines: string[] = [];
  const waiting = new Set<() => void>();
  for (const stream of [child.stdout, child.stderr]) {
    let rest = "";
    stream?.setEncoding("utf8").on("data", (text: string) => {
      const parts = (rest + text).split("\n");
      rest = parts.pop() ?? "";
      lines.push(...parts);
      for (const look of waiting) look();
    });
  }
  const ended = once(child, "close").then(([code, signal]) => (code ?? signal) as number | string);
  void ended.then(() => {
    for (const look of waiting) look();
  });
  return {
    child,
    id: setting.id,
    lines,
    ended,
    signal: (name) => void child.kill(name),
    line: (text) =>
      new Promise((resolve, reject) => {
        const look = () => {
          const found = lines.find((line) => line.includes(text));
          const over = child.exitCode !== null || child.signalCode !== null;
          if (found === undefined && !over) return;
          waiting.delete(look);
          if (found !== undefined) resolve(found);
          else reject(new Error(`${setting.id} ended without "${text}":\n${lines.slice(-20).join("\n")}`));
        };
        waiting.add(look);
        look();
      }),
  };
}

/** Kills what a test left behind; safe for processes that have ended. */
export async function endAll(workers: readonly WorkerProcess[]): Promise<void> {
  for (const worker of workers) {
    worker.signal("SIGCONT");
    worker.signal("SIGKILL");
  }
  await Promise.all(workers.map((worker) => worker.ended));
}

/** Paragraphs that each become one chunk under `raceSettings`, all different. */
export function paragraphs(count: number, word: string): string {
  return Array.from(
    { length: count },
    (_, at) =>
      `The ${word} paragraph number ${at} tells of thing ${at * 7 + 1} and of nothing else in the world.`,
  ).join("\n\n");
}
