// A small pool of extraction processes: hostile files are parsed where there is nothing to steal and nobody to
// call, and a parser that hangs or eats memory costs its own file only.
import { readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Failure } from "../failure/failure.ts";
import { type ExtractionProcess, FOLDER_PREFIX, startExtractionProcess } from "./extraction-process.ts";
import type { ExtractLimits, ExtractSegments } from "./extractor.ts";
import { openPlaces } from "./places.ts";

/** An idle child holds about 115 MB, of which Node itself is half. */
const IDLE_MS = 60_000;
/** Folders of workers that were killed; younger ones may belong to a worker in another container. */
const STALE_FOLDER_MS = 3_600_000;

export type Extractors = {
  readonly extract: ExtractSegments;
  /**
   * Starts the children now, so that the first files need not wait for them (0.7 to 1.6 s each). Resolves when
   * they have loaded their code; never throws.
   */
  warm(): Promise<void>;
  /** Ends all children; what still reads fails with `worker.stopping`. */
  close(): Promise<void>;
};

/** Opens the pool. Children start when they are needed, at most `concurrency` of them. */
export function openExtractors(options: { limits: ExtractLimits; concurrency: number }): Extractors {
  const idle: { process: ExtractionProcess; timer: NodeJS.Timeout }[] = [];
  const alive = new Set<ExtractionProcess>();
  const places = openPlaces(options.concurrency);
  const closing = new AbortController();
  void removeStaleFolders().catch(() => undefined);

  const take = async (): Promise<ExtractionProcess> => {
    for (let waiting = idle.pop(); waiting !== undefined; waiting = idle.pop()) {
      clearTimeout(waiting.timer);
      if (waiting.process.reusable) return waiting.process;
      await retire(waiting.process);
    }
    const process = await startExtractionProcess(options.limits);
    alive.add(process);
    return process;
  };
  const retire = async (process: ExtractionProcess): Promise<void> => {
    alive.delete(process);
    await process.end();
  };
  const giveBack = async (process: ExtractionProcess): Promise<void> => {
    if (!process.reusable || closing.signal.aborted) return await retire(process);
    const entry = { process, timer: setTimeout(() => void letGo(entry), IDLE_MS).unref() };
    idle.push(entry);
  };
  const letGo = async (entry: (typeof idle)[number]): Promise<void> => {
    const at = idle.indexOf(entry);
    if (at < 0) return;
    idle.splice(at, 1);
    await retire(entry.process);
  };

  return {
    async *extract(original, signal) {
      const either = AbortSignal.any([signal, closing.signal]);
      const release = await places.take(1, either);
      try {
        const process = await take();
        try {
          yield* process.read(original, either);
        } finally {
          await giveBack(process);
        }
      } finally {
        release();
      }
    },
    async warm() {
      const started = Array.from({ length: options.concurrency - alive.size }, take);
      const children = (await Promise.allSettled(started)).flatMap((one) =>
        one.status === "fulfilled" ? [one.value] : [],
      );
      for (const child of children) await giveBack(child);
      await Promise.all(children.map((child) => child.started));
    },
    async close() {
      closing.abort(new Failure("worker.stopping"));
      for (const { timer } of idle.splice(0)) clearTimeout(timer);
      await Promise.all([...alive].map(retire));
    },
  };
}

async function removeStaleFolders(): Promise<void> {
  const root = tmpdir();
  for (const name of await readdir(root)) {
    const pid = Number(new RegExp(`^${FOLDER_PREFIX}(\\d+)-`).exec(name)?.[1] ?? Number.NaN);
    if (Number.isNaN(pid) || isAlive(pid)) continue;
    const path = join(root, name);
    if (Date.now() - (await stat(path)).mtimeMs > STALE_FOLDER_MS)
      await rm(path, { recursive: true, force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (thrown) {
    return (thrown as NodeJS.ErrnoException).code === "EPERM";
  }
}
