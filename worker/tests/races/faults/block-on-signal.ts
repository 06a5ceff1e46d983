// Loaded into a worker before its own code (NODE_OPTIONS=--import): on SIGUSR2 the main thread stands still, as
// under a parser or a long synchronous step; the other threads of the process go on.
// RAG_BLOCK_MS: for how long. RAG_BLOCK_BUSY=1: with the processor in use, not asleep.
import { isMainThread } from "node:worker_threads";

/** For NODE_OPTIONS. */
export const preload = `--import=${import.meta.url}`;

if (isMainThread && process.env.RAG_BLOCK_MS !== undefined) {
  const ms = Number(process.env.RAG_BLOCK_MS);
  process.on("SIGUSR2", () => {
    if (process.env.RAG_BLOCK_BUSY !== "1") {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
      return;
    }
    const until = performance.now() + ms;
    while (performance.now() < until) Math.sqrt(until);
  });
}
