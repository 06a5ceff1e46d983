// `rag …` as an operator runs it: a real process with an environment and a folder of its own.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const root = join(import.meta.dirname, "../../..");

type Settings = Readonly<Record<string, string>>;

export type Ended = {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
  /** The lines of stdout as JSON. */
  readonly records: readonly Record<string, unknown>[];
};

export type RagWorld = {
  /** Where commands run; also holds the embedded database. */
  readonly folder: string;
  /** Runs a command to its end. */
  rag(args: readonly string[], settings?: Settings): Promise<Ended>;
  /** Starts one and leaves it running; it is killed with the world. */
  start(args: readonly string[], settings?: Settings, limitMs?: number): RunningRag;
  close(): Promise<void>;
};

export type RunningRag = {
  readonly pid: number | undefined;
  readonly output: () => string;
  readonly signal: (name: NodeJS.Signals) => void;
  readonly ended: Promise<Ended>;
};

// A hanging command should fail its test with its output, not with the runner's time limit.
const LIMIT_MS = 55_000;

export async function openWorld(program = join(root, "worker/main.ts")): Promise<RagWorld> {
  const folder = await mkdtemp(join(tmpdir(), "rag-journey-"));
  const running = new Set<RunningRag>();
  const start = (args: readonly string[], settings: Settings = {}, limitMs = LIMIT_MS): RunningRag => {
    const child = spawn(process.execPath, [program, ...args], {
      cwd: folder, // Nobody's .env is read.
      env: { PATH: process.env.PATH ?? "", HOME: process.env.HOME ?? "", ...settings },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const said = { out: "", err: "" };
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      said.out += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      said.err += text;
    });
    const limit = setTimeout(() => child.kill("SIGKILL"), limitMs);
    const ended = once(child, "close").then(([code]): Ended => {
      clearTimeout(limit);
      running.delete(one);
      return {
        code: code as number | null, // SAFETY: what "close" brings.
        ...said,
        get records() {
          return said.out
            .split("\n")
            .filter((line) => line !== "")
            .map((line) => JSON.parse(line) as Record<string, unknown>);
        },
      };
    });
    const one: RunningRag = {
      pid: child.pid,
      output: () => said.out + said.err,
      signal: (name) => void child.kill(name),
      ended,
    };
    running.add(one);
    return one;
  };
  return {
    folder,
    start,
    rag: (args, settings) => start(args, settings).ended,
    async close() {
      for (const one of [...running]) {
        one.signal("SIGKILL");
        await one.ended;
      }
      await rm(folder, { recursive: true, force: true });
    },
  };
}
