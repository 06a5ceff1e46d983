// How a child is started: with no environment, no right to write, to start programs or to load native code, the
// right to read the product's own folders and one folder of its own, and a bounded heap.
import { type ChildProcess, fork } from "node:child_process";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import type { ExtractLimits } from "../extractor.ts";

/** What Node, its code and buffers need beside the heap. */
const RSS_ALLOWANCE = 192 << 20;

const workerFolder = resolve(import.meta.dirname, "../..");
const packageFolder = resolve(workerFolder, "..");

/** Runs `script` by this process's own Node. `folder` is the only place outside of the product it may read. */
export function forkChild(
  script: string,
  limits: Pick<ExtractLimits, "memoryMb">,
  folder: string,
  more: readonly string[] = [],
): ChildProcess {
  const maxRssBytes = limits.memoryMb * 1_048_576 + RSS_ALLOWANCE;
  return fork(script, [String(process.pid), String(maxRssBytes), ...more], {
    env: {},
    execPath: process.execPath,
    execArgv: nodeArguments(limits, folder),
    stdio: ["ignore", "ignore", "ignore", "ipc"],
    serialization: "json",
  });
}

function nodeArguments(limits: Pick<ExtractLimits, "memoryMb">, folder: string): string[] {
  const modules = dirname(dirname(createRequire(import.meta.url).resolve("pdfjs-dist/package.json")));
  const readable = [
    join(packageFolder, "package.json"),
    join(workerFolder, "*"),
    // Packages are found by the way of links (pnpm, a folder that is linked as a whole) and read where they lie.
    join(packageFolder, "node_modules", "*"),
    join(modules, "*"),
    join(folder, "*"),
  ];
  return [
    "--permission",
    // For the thread that watches the process; it inherits all other restrictions.
    "--allow-worker",
    ...readable.map((path) => `--allow-fs-read=${path}`),
    `--max-old-space-size=${limits.memoryMb}`,
    // What is read is sent and forgotten. The larger young generation that is Node's default took 60 MB more; with one
    // of the smallest a fourth of the time went into collecting what lives no longer than a paragraph.
    "--max-semi-space-size=8",
    "--disallow-code-generation-from-strings",
    "--no-warnings",
  ];
}
