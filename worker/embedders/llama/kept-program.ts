// A program that never outlives us, also when we are killed and can say nothing any more.
// Two shells of a megabyte stand between (keep-program.sh): they hold the other end of a pipe from us, and when it
// closes, whoever closed it, they end the program. It has a process group of its own, so Ctrl-C in a terminal does
// not reach it while we still finish jobs.
// On Windows libuv keeps children in a job object that ends with us, so there the program is started directly.
import { type ChildProcess, spawn } from "node:child_process";
import { rm } from "node:fs/promises";
import { constants } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";

export type ProgramEnd = {
  /** null when a signal ended it, or when it could not be started at all. */
  readonly code: number | null;
  readonly signal: string | null;
};

export type KeptProgram = {
  /** null when it could not be started. Resolves as soon as it has one. */
  readonly pid: Promise<number | null>;
  /** Resolves, never rejects, when it is gone together with all that it started. */
  readonly ended: Promise<ProgramEnd>;
  /** The end of what it has said on stderr and stdout. */
  lastWords(): string;
  /** Goes on reading what it says, and keeps nothing of it any more. */
  stopListening(): void;
  /** SIGTERM, and SIGKILL after the time of grace. Resolves when it is gone. */
  stop(): Promise<void>;
  /** SIGKILL at once. */
  kill(): void;
};

export type ProgramSetup = {
  readonly path: string;
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** Removed when the program is gone; null for none. */
  readonly folder: string | null;
  readonly graceSeconds: number;
};

const MOST_WORDS = 4096;

const KEEPER = join(import.meta.dirname, "keep-program.sh");

/** Starts it. Nothing of it keeps this process from ending by itself, and it ends then as well. */
export function startKept(setup: ProgramSetup): KeptProgram {
  const windows = process.platform === "win32";
  const child = windows ? spawnDirectly(setup) : spawnUnderKeeper(setup);
  const pid = Promise.withResolvers<number | null>();
  const ended = Promise.withResolvers<ProgramEnd>();
  const words = listenTo(child.stderr);
  let told: ProgramEnd | null = null;

  child.stdin?.on("error", () => {}); // The keeper may be gone before we let go of the leash.
  const reports = child.stdio[3];
  if (reports instanceof Readable)
    eachLine(reports, (line) => {
      const [what, number] = line.split(" ");
      if (what === "pid") pid.resolve(Number(number));
      if (what === "ended") told = endOf(Number(number));
    });
  else pid.resolve(child.pid ?? null);
  child.once("error", () => {
    pid.resolve(null);
    ended.resolve({ code: null, signal: null });
  });
  child.once("close", (code, signal) => {
    // The keeper may have been killed alone: nothing of the group may go on without it.
    if (!windows) killGroup(child);
    pid.resolve(null);
    void removeFolder(setup).then(() => ended.resolve(told ?? { code, signal }));
  });
  // Nothing here keeps the process from ending: the leash sees to the program.
  hold(child, false);

  return {
    pid: pid.promise,
    ended: ended.promise,
    lastWords: words.last,
    stopListening: words.forget,
    async stop() {
      hold(child, true);
      if (windows) child.kill();
      else child.stdin?.end();
      await ended.promise;
    },
    kill() {
      if (windows) child.kill("SIGKILL");
      else killGroup(child);
    },
  };
}

function spawnUnderKeeper({ path, args, environment, folder, graceSeconds }: ProgramSetup): ChildProcess {
  return spawn("/bin/sh", [KEEPER, folder ?? "", String(graceSeconds), path, ...args], {
    env: environment,
    detached: true,
    stdio: ["pipe", "ignore", "pipe", "pipe"],
  });
}

function spawnDirectly({ path, args, environment }: ProgramSetup): ChildProcess {
  return spawn(path, [...args], {
    env: environment,
    windowsHide: true,
    stdio: ["ignore", "ignore", "pipe"],
  });
}

/** Shells tell of a signal by 128 and its number. */
function endOf(status: number): ProgramEnd {
  if (status <= 128) return { code: status, signal: null };
  const named = Object.entries(constants.signals).find(([, number]) => number === status - 128);
  return named === undefined ? { code: status, signal: null } : { code: null, signal: named[0] };
}

function listenTo(stream: Readable | null): { last(): string; forget(): void } {
  let kept = "";
  let listening = true;
  stream?.setEncoding("utf8").on("data", (text: string) => {
    if (listening) kept = (kept + text).slice(-MOST_WORDS);
  });
  return {
    last: () => kept,
    forget() {
      listening = false;
      kept = "";
    },
  };
}

function eachLine(stream: Readable, take: (line: string) => void): void {
  let begun = "";
  stream.setEncoding("utf8").on("data", (text: string) => {
    const lines = (begun + text).split("\n");
    begun = lines.pop() ?? "";
    for (const line of lines) take(line);
  });
}

function killGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // All of it is gone already.
  }
}

async function removeFolder({ folder }: ProgramSetup): Promise<void> {
  if (folder !== null) await rm(folder, { recursive: true, force: true }).catch(() => {});
}

/** Whether the process waits for this child before it ends by itself. */
function hold(child: ChildProcess, yes: boolean): void {
  const streams = child.stdio.filter((stream) => stream !== null && stream !== undefined);
  for (const part of [child, ...streams] as { ref?(): void; unref?(): void }[])
    if (yes) part.ref?.();
    else part.unref?.();
}
