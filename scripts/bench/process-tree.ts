// What a process and all its children take, watched from outside: resident memory at its peak, and CPU time.
import { execFile } from "node:child_process";
import { promisify } from "node:util";

const run = promisify(execFile);
// Each look costs 15 ms of a core that the watched could use.
const SAMPLE_MS = 500;

export type TreeCosts = {
  /** Peak resident memory of the process alone, and of it with its children, in MB. */
  readonly peakMb: number;
  readonly peakTreeMb: number;
  /** Of all of them, up to the last look; whole seconds a process. */
  readonly cpuSeconds: number;
};

/** Looks at the process until stopped. */
export function watchTree(pid: number): { stop(): TreeCosts } {
  let peakMb = 0;
  let peakTreeMb = 0;
  const cpuByPid = new Map<number, number>();
  const sampler = setInterval(async () => {
    const family = await familyOf(pid);
    peakMb = Math.max(peakMb, family.find((one) => one.pid === pid)?.megabytes ?? 0);
    peakTreeMb = Math.max(
      peakTreeMb,
      family.reduce((sum, one) => sum + one.megabytes, 0),
    );
    for (const one of family) cpuByPid.set(one.pid, one.cpuSeconds);
  }, SAMPLE_MS);
  return {
    stop() {
      clearInterval(sampler);
      return { peakMb, peakTreeMb, cpuSeconds: [...cpuByPid.values()].reduce((sum, one) => sum + one, 0) };
    },
  };
}

type Member = { readonly pid: number; readonly megabytes: number; readonly cpuSeconds: number };

async function familyOf(pid: number): Promise<readonly Member[]> {
  const { stdout } = await run("ps", ["-A", "-o", "pid=,ppid=,rss=,time="]).catch(() => ({ stdout: "" }));
  const rows = stdout
    .trim()
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .map(([id, parent, kilobytes, time]) => ({
      pid: Number(id),
      parent: Number(parent),
      megabytes: Number(kilobytes) / 1024,
      cpuSeconds: secondsOf(time ?? ""),
    }));
  const family = new Set([pid]);
  // Children come after their parents in time, not always in order of pid: a few rounds reach everybody.
  for (let round = 0; round < 4; round += 1) {
    for (const row of rows) if (family.has(row.parent)) family.add(row.pid);
  }
  return rows.filter((row) => family.has(row.pid));
}

/** `[D-]HH:MM:SS`, or macOS's `M:SS.hh`, in seconds. */
function secondsOf(time: string): number {
  const [clock = "", days = "0"] = time.split("-").reverse();
  const seconds = clock.split(":").reduce((sum, part) => sum * 60 + Number(part), 0);
  return Number(days) * 86_400 + (Number.isNaN(seconds) ? 0 : seconds);
}
