import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { freeMemory } from "./free-memory.ts";

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "rag-memory-"));
});
afterEach(() => rm(root, { recursive: true }));

async function write(files: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, name)), { recursive: true });
    await writeFile(join(root, name), text);
  }
}

const MEMINFO = "MemTotal:  8000000 kB\nMemFree:  100000 kB\nMemAvailable:  4000000 kB\n";

test("without limits it is what the machine has available", async () => {
  await write({
    "proc/meminfo": MEMINFO,
    "proc/self/cgroup": "0::/user.slice\n",
    "sys/fs/cgroup/user.slice/memory.max": "max\n",
    "sys/fs/cgroup/user.slice/memory.current": "500\n",
  });

  expect(await freeMemory(root)).toBe(4_096_000_000);
});

test("a container's limit counts, and page cache that can be given back is free", async () => {
  await write({
    "proc/meminfo": MEMINFO,
    "proc/self/cgroup": "0::/\n",
    "sys/fs/cgroup/memory.max": "512000000\n",
    "sys/fs/cgroup/memory.current": "500000000\n",
    "sys/fs/cgroup/memory.stat": "anon 100000000\ninactive_file 300000000\nactive_file 100000000\n",
  });

  expect(await freeMemory(root)).toBe(312_000_000);
});

test("a limit of a group above ours counts as well", async () => {
  await write({
    "proc/meminfo": MEMINFO,
    "proc/self/cgroup": "0::/pod/container\n",
    "sys/fs/cgroup/pod/memory.max": "200000000\n",
    "sys/fs/cgroup/pod/memory.current": "150000000\n",
    "sys/fs/cgroup/pod/container/memory.max": "max\n",
    "sys/fs/cgroup/pod/container/memory.current": "150000000\n",
  });

  expect(await freeMemory(root)).toBe(50_000_000);
});

test("groups of the first version are read as well", async () => {
  await write({
    "proc/meminfo": MEMINFO,
    "proc/self/cgroup": "4:cpu,cpuacct:/a\n3:memory:/docker/abc\n",
    "sys/fs/cgroup/memory/memory.limit_in_bytes": "300000000\n",
    "sys/fs/cgroup/memory/memory.usage_in_bytes": "250000000\n",
    "sys/fs/cgroup/memory/memory.stat": "total_inactive_file 20000000\n",
  });

  expect(await freeMemory(root)).toBe(70_000_000);
});

test("a machine that tells nothing is not thought full", async () => {
  expect(await freeMemory(root)).toBeNull();
});

test("this machine has some", async () => {
  const free = await freeMemory();

  if (process.platform === "linux") expect(free).toBeGreaterThan(1_000_000);
  else expect(free).toBeNull();
});
