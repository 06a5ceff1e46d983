// A thread beside the parser that ends the process when the worker is gone or memory outside of the heap is
// over its limit. It needs a thread of its own: a parser in an endless loop hears no disconnect.
import { workerData } from "node:worker_threads";

const EVERY_MS = 500;

// SAFETY: written by extraction-child.ts, the only one that starts this thread.
const { parentPid, maxRssBytes } = workerData as { parentPid: number; maxRssBytes: number };

setInterval(() => {
  if (process.ppid !== parentPid || process.memoryUsage.rss() > maxRssBytes)
    process.kill(process.pid, "SIGKILL");
}, EVERY_MS);
