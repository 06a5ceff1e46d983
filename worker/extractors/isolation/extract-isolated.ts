// A small pool of extraction processes: hostile files are parsed where there is nothing to steal and nobody to
// call, and a parser that hangs or eats memory costs its own file only.
import { readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Failure } from "../../failure/failure.ts";
import { isAlive } from "../../timing/is-alive.ts";
import type { ExtractLimits, ExtractSegments } from "../extractor.ts";
import { openPlaces } from "../places.ts";
import { type ExtractionProcess, FOLDER_PREFIX, startExtractionProcess } from "./extraction-process.ts";

/** An idle child holds about 130 MB, of which Node itself is half. */
const IDLE_MS = 60_000;
/** A file that has waited so long for a child gets one more: short files are read as fast by one as by two. */
const GROW_MS = 1000;
/** Folders of workers that were killed; younger ones may belong to a worker in another container. */
const STALE_FOLDER_MS = 3_600_000;

export type Extractors = {
  readonly extract: ExtractSegments;
  /**
   * Starts the first child now, so that the first file need not wait for it (0.7 to 1.6 s). Resolves when it has loaded
   * its code, however often it is asked; never throws.
   */
  warm(): Promise<void>;
  /** Ends all children; what still reads fails with `worker.stopping`. */
  close(): Promise<void>;
};

/**
 * Opens the pool. Children start when they are needed: the first at once, each further one, up to `concurrency`, when
 * a file has waited for one for `growMs`.
 */
export function openExtractors(options: {
  readonly limits: ExtractLimits;
  readonly concurrency: number;
  readonly growMs?: number;
}): Extractors {
  const idle: { process: ExtractionProcess; timer: NodeJS.Timeout }[] = [];
  const alive = new Set<ExtractionProcess>();
  const waiting = new Set<(process: ExtractionProcess | null) => void>();
  /** Children that have not loaded their code yet. */
  let loading = 0;
  let warmed: Promise<void> | null = null;
  const places = openPlaces(options.concurrency);
  const closing = new AbortController();
  void removeStaleFolders().catch(() => undefined);

  const take = async (signal: AbortSignal): Promise<ExtractionProcess> => {
    for (let entry = idle.pop(); entry !== undefined; entry = idle.pop()) {
      clearTimeout(entry.timer);
      if (entry.process.reusable) return entry.process;
      await retire(entry.process);
    }
    const free = alive.size + loading > 0 ? await waitForFree(signal) : null;
    return free ?? (await start());
  };
  const start = async (): Promise<ExtractionProcess> => {
    loading += 1;
    const loaded = (): void => {
      loading -= 1;
    };
    try {
      const process = await startExtractionProcess(options.limits);
      alive.add(process);
      void process.started.then(loaded);
      return process;
    } catch (thrown) {
      loaded();
      throw thrown;
    }
  };
  /** null: it is time to start one. */
  const waitForFree = (signal: AbortSignal): Promise<ExtractionProcess | null> =>
    new Promise((resolve, reject) => {
      const leave = (): void => {
        clearTimeout(timer);
        signal.removeEventListener("abort", stop);
        waiting.delete(receive);
      };
      const receive = (process: ExtractionProcess | null): void => {
        leave();
        resolve(process);
      };
      const stop = (): void => {
        leave();
        reject(signal.reason);
      };
      // One that loads is as soon there as another that would be started now.
      const grow = (): void => {
        if (!waiting.has(receive)) return;
        if (loading > 0) timer.refresh();
        else receive(null);
      };
      // A worker that was held up itself hears first what its children have said meanwhile: timers go before messages.
      const timer = setTimeout(() => setImmediate(grow), options.growMs ?? GROW_MS);
      signal.addEventListener("abort", stop);
      waiting.add(receive);
      if (signal.aborted) stop();
    });
  const retire = async (process: ExtractionProcess): Promise<void> => {
    alive.delete(process);
    await process.end();
  };
  const startFirst = async (): Promise<void> => {
    if (alive.size + loading > 0) return;
    const child = await start().catch(() => null);
    if (child === null) return;
    await giveBack(child);
    await child.started;
  };
  const giveBack = async (process: ExtractionProcess): Promise<void> => {
    const [next] = waiting;
    if (!process.reusable || closing.signal.aborted) {
      next?.(null);
      return await retire(process);
    }
    if (next !== undefined) return next(process);
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
        const process = await take(either);
        try {
          yield* process.read(original, either);
        } finally {
          await giveBack(process);
        }
      } finally {
        release();
      }
    },
    warm() {
      warmed ??= startFirst();
      return warmed;
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
