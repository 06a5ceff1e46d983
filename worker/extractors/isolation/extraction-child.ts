// The extraction process: no environment, no network, no files but the product's own and one original.
// Reads one file at a time for the worker that started it, and sends only as much as the worker has asked for.
import { Worker } from "node:worker_threads";
import { closeThreads, unplugNetwork } from "./unplug-network.ts";

// Before anything that parses is loaded; that is why the readers are imported below and not above.
unplugNetwork();

const [parentPid, maxRssBytes] = process.argv.slice(2).map(Number);
new Worker(new URL("./watch-child.ts", import.meta.url), { workerData: { parentPid, maxRssBytes } }).unref();
closeThreads();

// A signal to the terminal's process group is for the worker, which may let a file finish.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => undefined);
process.on("disconnect", () => process.exit(0));

const { serveReads } = await import("./serve-reads.ts");
serveReads();
