// How much memory a new process may take: the machine's, or what the container's limits leave of it.
// Page cache that can be given back counts as free: without that a container that has read many files looks full.
import { readFile } from "node:fs/promises";
import { join } from "node:path";

/** Bytes; null where nobody can tell (only Linux tells of it). `root` is where /proc and /sys are found. */
export async function freeMemory(root = "/"): Promise<number | null> {
  const machine = await ofMachine(root);
  if (machine === null) return null;
  return Math.max(0, Math.min(machine, ...(await ofGroups(root))));
}

async function ofMachine(root: string): Promise<number | null> {
  const kilobytes = /^MemAvailable:\s+(\d+) kB/m.exec(await read(join(root, "proc/meminfo")))?.[1];
  return kilobytes === undefined ? null : Number(kilobytes) * 1024;
}

/** What each control group we are in leaves, from our own up to the root: every one's limit holds. */
async function ofGroups(root: string): Promise<number[]> {
  const mine = await read(join(root, "proc/self/cgroup"));
  const unified = /^0::(\/.*)$/m.exec(mine)?.[1];
  const first = /^\d+:(?:[^:]*,)?memory(?:,[^:]*)?:(\/.*)$/m.exec(mine)?.[1];
  const left: number[] = [];
  if (first !== undefined)
    for (const folder of upwards(join(root, "sys/fs/cgroup/memory"), first))
      left.push(
        await ofGroup(folder, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
      );
  else if (unified !== undefined)
    for (const folder of upwards(join(root, "sys/fs/cgroup"), unified))
      left.push(await ofGroup(folder, "memory.max", "memory.current", "inactive_file"));
  return left.filter(Number.isFinite);
}

/** The group's folder and those above it. In a container the path may be the host's: then only the top is there. */
function upwards(top: string, path: string): string[] {
  const names = path.split("/").filter((name) => name !== "" && name !== "..");
  return Array.from({ length: names.length + 1 }, (_, depth) => join(top, ...names.slice(0, depth)));
}

/** Infinity for a group without a limit. */
async function ofGroup(folder: string, limitFile: string, usedFile: string, cache: string): Promise<number> {
  const limit = Number.parseInt(await read(join(folder, limitFile)), 10); // NaN for "max".
  const used = Number.parseInt(await read(join(folder, usedFile)), 10);
  if (Number.isNaN(limit) || Number.isNaN(used)) return Number.POSITIVE_INFINITY;
  const stat = await read(join(folder, "memory.stat"));
  const reclaimable = Number(new RegExp(`^${cache} (\\d+)$`, "m").exec(stat)?.[1] ?? 0);
  return limit - used + reclaimable;
}

const read = (path: string): Promise<string> => readFile(path, "utf8").catch(() => "");
