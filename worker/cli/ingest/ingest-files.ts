// Files into the queue and, where asked, followed to their end. What goes wrong with one file is that file's
// alone; the run ends only when the database is lost, nobody can work, or the operator stops it.
import type { Parts } from "../../assemble.ts";
import { describeFailure } from "../../failure/describe.ts";
import type { Failure } from "../../failure/failure.ts";
import type { RunningWorker } from "../../queue/worker-state.ts";
import type { HintSender } from "../../wake-buses/hint-sender.ts";
import { hasEnded, type JobRow } from "../job-row.ts";
import { hintsOf } from "../wake-workers.ts";
import { type EnqueuedFile, enqueueFile, type Labels } from "./enqueue-file.ts";
import { findFiles, pathFailure } from "./find-files.ts";
import { followJobs } from "./follow-jobs.ts";
import { openHands } from "./hands.ts";

export type IngestRequest = {
  readonly paths: readonly string[];
  /** What relative paths are relative to. */
  readonly folder: string;
  readonly labels: Labels;
  /** Stay until all jobs have ended. */
  readonly wait: boolean;
  /** A worker of the caller's that does the work; the caller stops it. */
  readonly worker?: RunningWorker;
};

export type FailedFile = { readonly source: string; readonly code: string; readonly message: string };

export type IngestSummary = {
  /** Ingested to the end; without waiting, put into the queue. */
  readonly documents: number;
  readonly chunks: number;
  readonly embedded: number;
  readonly reused: number;
  /** Documents of which every chunk was there already. */
  readonly unchanged: number;
  /** Documents whose jobs had not ended when we left. */
  readonly queued: number;
  /** Files left out of folders and globs, by why. */
  readonly skipped: Readonly<Record<string, number>>;
  readonly failed: readonly FailedFile[];
  readonly seconds: number;
};

/** What a progress display is told. */
export type IngestWatcher = {
  found(files: number, isAll: boolean): void;
  /** Rows of jobs that are under way or have just ended. */
  progressed(jobs: readonly { readonly row: JobRow; readonly path: string }[]): void;
  ended(path: string, row: JobRow): void;
  failed(file: FailedFile): void;
  /** Something the person at the terminal should know. */
  notice(text: string): void;
};

const FOLLOW_MS = 250;

/** Throws `database.*`, and what keeps every job from succeeding (`misconfigured`). */
export async function ingestFiles(
  parts: Parts,
  request: IngestRequest,
  watcher: IngestWatcher,
  signal: AbortSignal,
): Promise<IngestSummary> {
  const startedAt = performance.now();
  const tally = openTally(watcher);
  const enqueued = new Map<string, EnqueuedFile>();
  let isAll = false;
  const stop = new AbortController();
  const both = AbortSignal.any([signal, stop.signal]);
  const hints = await hintsOf(parts);

  const enqueueing = enqueueAll(parts, request, { tally, watcher, enqueued, hints }, both).finally(() => {
    isAll = true;
    return hints.close();
  });
  enqueueing.catch(() => stop.abort());
  if (!request.wait) {
    await enqueueing;
    return tally.summary(enqueued.size, enqueued.size, startedAt);
  }

  const hands = openHands(parts, request.worker ?? null, watcher.notice);
  try {
    const following = {
      ids: () => [...enqueued.keys()],
      isAll: () => isAll,
      everyMs: FOLLOW_MS,
      async see(rows: readonly JobRow[], gone: readonly string[]) {
        seeRows(rows, gone, enqueued, tally, watcher);
        await hands.look(enqueued.size > 0);
      },
    };
    await followJobs(parts.database.call, following, both);
    await enqueueing;
  } finally {
    stop.abort();
    await hands.close();
  }
  return tally.summary(tally.done(), enqueued.size - tally.settled(), startedAt);
}

type Ways = {
  readonly tally: Tally;
  readonly watcher: IngestWatcher;
  readonly enqueued: Map<string, EnqueuedFile>;
  readonly hints: HintSender;
};

async function enqueueAll(
  parts: Parts,
  request: IngestRequest,
  ways: Ways,
  signal: AbortSignal,
): Promise<void> {
  const intake = { call: parts.database.call, config: parts.config, labels: request.labels };
  const files = findFiles(request.paths, request.folder)[Symbol.asyncIterator]();
  let found = 0;
  const takeOne = async (): Promise<void> => {
    for (;;) {
      const { value, done } = await files.next();
      if (done || signal.aborted) return;
      if (value.kind === "skipped") ways.tally.skip(value.why);
      else if (value.kind === "missing") ways.tally.fail(value.source, value.failure);
      else {
        found += 1;
        ways.watcher.found(found, false);
        await enqueueFile(value, intake, signal).then(
          (file) => {
            ways.enqueued.set(file.jobId, file);
            ways.hints.send(file);
          },
          (thrown: unknown) => {
            if (signal.aborted) return;
            const failure = pathFailure(thrown);
            if (!isOfOneFile(failure)) throw failure;
            ways.tally.fail(value.path, failure);
          },
        );
      }
    }
  };
  // As many at once as there are connections, less one for following.
  const lanes = parts.database.transport === "embedded" ? 1 : Math.max(1, parts.config.poolMax - 1);
  await Promise.all(Array.from({ length: lanes }, takeOne));
  ways.watcher.found(found, true);
}

const isOfOneFile = (failure: Failure) =>
  failure.code.startsWith("source.") && failure.kind !== "misconfigured" && failure.kind !== "waiting";

function seeRows(
  rows: readonly JobRow[],
  gone: readonly string[],
  enqueued: ReadonlyMap<string, EnqueuedFile>,
  tally: Tally,
  watcher: IngestWatcher,
): void {
  const seen = rows.flatMap((row) => {
    const file = enqueued.get(row.id);
    return file === undefined ? [] : [{ row, file, path: file.path }];
  });
  watcher.progressed(seen);
  for (const { row, file } of seen) if (hasEnded(row)) tally.end(file, row);
  for (const id of gone) {
    const file = enqueued.get(id);
    if (file !== undefined) tally.lose(file);
  }
}

type Tally = ReturnType<typeof openTally>;

function openTally(watcher: IngestWatcher) {
  const failed: FailedFile[] = [];
  const skipped: Record<string, number> = {};
  const totals = { done: 0, settled: 0, chunks: 0, reused: 0, unchanged: 0 };
  const fail = (source: string, code: string, message: string) => {
    const file = { source, code, message };
    failed.push(file);
    watcher.failed(file);
  };
  return {
    fail: (source: string, failure: Failure) => fail(source, failure.code, describeFailure(failure)),
    skip: (why: string) => {
      skipped[why] = (skipped[why] ?? 0) + 1;
    },
    end(file: EnqueuedFile, row: JobRow) {
      totals.settled += 1;
      if (row.status !== "complete")
        return fail(
          file.path,
          row.error_code ?? "unexpected",
          row.error_detail ?? `The job is ${row.status}.`,
        );
      totals.done += 1;
      totals.chunks += row.processed_chunks;
      totals.reused += row.reused_chunks;
      if (file.wasLive && row.reused_chunks === row.processed_chunks) totals.unchanged += 1;
      watcher.ended(file.path, row);
    },
    lose(file: EnqueuedFile) {
      totals.settled += 1;
      fail(file.path, "job.document-gone", "The document was deleted while we waited.");
    },
    done: () => totals.done,
    settled: () => totals.settled,
    summary: (documents: number, queued: number, startedAt: number): IngestSummary => ({
      documents,
      chunks: totals.chunks,
      embedded: totals.chunks - totals.reused,
      reused: totals.reused,
      unchanged: totals.unchanged,
      queued,
      skipped,
      failed,
      seconds: Math.round(performance.now() - startedAt) / 1000,
    }),
  };
}
