// The parent's side of a contestant's process: started, told to go, watched to its end, and ended by force when
// the bench fails, so that no worker is left behind on somebody's server.
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import type { Contestant } from "./contestant.ts";
import type { Drained, FromPart, PartSettings, ToPart } from "./part.ts";

export type RunningPart = {
  /** Resolves when it is connected and waits for go(). */
  readonly ready: Promise<void>;
  go(): void;
  stop(): void;
  /** Resolves when it has told its result and is gone; rejects with the end of its error output otherwise. */
  readonly ended: Promise<Drained>;
  kill(): void;
};

export type Hearing = {
  readonly started?: (key: string, at: number) => void;
  readonly empty?: (ms: number) => void;
};

const MOST_STDERR = 4000;

export function startPart(
  contestant: Contestant,
  settings: PartSettings,
  hearing: Hearing = {},
): RunningPart {
  const child: ChildProcess = fork(contestant.program, [JSON.stringify(settings)], {
    // The peers' success lines are off as their own measurements have it; ours goes without a log as well.
    env: { PATH: process.env.PATH, HOME: process.env.HOME, NO_LOG_SUCCESS: "1", ...busAddresses() },
    execArgv: execArgv(contestant),
    stdio: ["ignore", "ignore", "pipe", "ipc"],
    // Whoever came too late for a job has claimed first at Infinity, which JSON does not know.
    serialization: "advanced",
  });
  let stderr = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    stderr = (stderr + text).slice(-MOST_STDERR);
  });
  let result: Drained | null = null;
  let setReady: () => void = () => {};
  const ready = new Promise<void>((resolve) => {
    setReady = resolve;
  });
  child.on("message", (message: FromPart) => {
    if (message.kind === "ready") setReady();
    if (message.kind === "started") hearing.started?.(message.key, message.at);
    if (message.kind === "empty") hearing.empty?.(message.ms);
    if (message.kind === "ended") result = message;
  });
  const ended = once(child, "close").then(([code]) => {
    if (result === null) throw new Error(`${contestant.name} ended with ${String(code)}:\n${stderr}`);
    return result;
  });
  ended.catch(() => {});
  const tell = (message: ToPart) => {
    if (child.connected) child.send(message);
  };
  return {
    ready: Promise.race([ready, ended.then(() => {})]),
    go: () => tell({ kind: "go" }),
    stop: () => tell({ kind: "stop" }),
    ended,
    kill: () => void child.kill("SIGKILL"),
  };
}

/** Starts `processes` of them at the same moment and waits until all have drained the queue. */
export async function drain(
  contestant: Contestant,
  settings: PartSettings,
  processes: number,
  hearing: Hearing = {},
): Promise<Drained> {
  const parts = Array.from({ length: processes }, () => startPart(contestant, settings, hearing));
  try {
    await Promise.all(parts.map((part) => part.ready));
    for (const part of parts) part.go();
    return together(await Promise.all(parts.map((part) => part.ended)));
  } finally {
    for (const part of parts) part.kill();
  }
}

/** As `drain`, where a process may meet a moment with nothing to claim: all go on until so many jobs have started. */
export async function serve(
  contestant: Contestant,
  settings: PartSettings,
  processes: number,
  jobs: number,
): Promise<Drained> {
  let left = jobs;
  const allStarted = Promise.withResolvers<void>();
  const hearing: Hearing = {
    started: () => {
      left -= 1;
      if (left === 0) allStarted.resolve();
    },
  };
  const told: PartSettings = { ...settings, mode: "serve", tellStarts: true };
  const parts = Array.from({ length: processes }, () => startPart(contestant, told, hearing));
  try {
    await Promise.all(parts.map((part) => part.ready));
    for (const part of parts) part.go();
    await Promise.race([allStarted.promise, ...parts.map((part) => part.ended)]);
    for (const part of parts) part.stop();
    return together(await Promise.all(parts.map((part) => part.ended)));
  } finally {
    for (const part of parts) part.kill();
  }
}

const together = (all: readonly Drained[]): Drained => ({
  jobs: all.reduce((sum, one) => sum + one.jobs, 0),
  firstClaimAt: Math.min(...all.map((one) => one.firstClaimAt)),
  lastSettleAt: Math.max(...all.map((one) => one.lastSettleAt)),
});

export const secondsOf = (drained: Drained): number => (drained.lastSettleAt - drained.firstClaimAt) / 1000;

function busAddresses(): NodeJS.ProcessEnv {
  const { REDIS_URL, NATS_URL } = process.env;
  return { ...(REDIS_URL && { REDIS_URL }), ...(NATS_URL && { NATS_URL }) };
}

/** RAG_BENCH_PROFILE=DIR writes a CPU profile of each of our own processes there. */
function execArgv(contestant: Contestant): string[] {
  const folder = process.env.RAG_BENCH_PROFILE;
  return folder && contestant.name === "ours" ? ["--cpu-prof", `--cpu-prof-dir=${folder}`] : [];
}
