// A worker's extraction, fed with hostile files one after the other, two at once: how late its event loop gets, and
// what memory it keeps. Prints {files, typed, lagP99Ms, rssBeforeMb, rssAfterMb}.
import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { openExtractors } from "../../../worker/extractors/isolation/extract-isolated.ts";
import { hostileFiles } from "../../../worker/extractors/testing/hostile-files.ts";
import { Failure } from "../../../worker/failure/failure.ts";

const FILES = 200;
const WARM_UP = 20;
const SEED = 4;
const MEGABYTE = 1_000_000;
const never = new AbortController().signal;

const folder = await mkdtemp(join(tmpdir(), "rag-bench-hostile-"));
const paths: string[] = [];
for (const { name, bytes } of hostileFiles(FILES, SEED)) {
  paths.push(join(folder, name));
  await writeFile(join(folder, name), bytes);
}
const limits = { timeoutMs: 20_000, memoryMb: 256, maxChars: 20_000_000 };
const extractors = openExtractors({ limits, concurrency: 2 });
let typed = 0;

async function read(path: string): Promise<void> {
  const { size } = await stat(path);
  const original = { path, name: path, byteSize: size, sha256: "", declaredMediaType: null };
  try {
    const items = extractors.extract({ ...original, dispose: async () => {} }, never);
    for await (const item of items) void item;
    typed += 1;
  } catch (thrown) {
    if (thrown instanceof Failure) typed += 1;
  }
}

async function readAll(queue: IterableIterator<string>): Promise<void> {
  for (const path of queue) await read(path);
}

const rssMb = () => {
  globalThis.gc?.();
  return process.memoryUsage.rss() / MEGABYTE;
};

await readAll(paths.slice(0, WARM_UP).values());
typed = 0;
const rssBeforeMb = rssMb();
const lag = monitorEventLoopDelay({ resolution: 5 });
lag.enable();
const queue = paths.values();
await Promise.all([readAll(queue), readAll(queue)]);
lag.disable();
// The histogram counts its own resolution in.
const figures = {
  files: FILES,
  typed,
  lagP99Ms: lag.percentile(99) / 1e6 - 5,
  rssBeforeMb,
  rssAfterMb: rssMb(),
};
await extractors.close();
await rm(folder, { recursive: true });
process.stdout.write(JSON.stringify(figures), () => process.exit(0));
