// Files into the queue and, where asked, followed to their end. What goes wrong with one file is that file's
// alone; the run ends only when the database is lost, nobody can work, or the operator stops it.
import type { Parts } from "../../assemble.ts";
import { describeFailure } from "../../failure/describe.ts";
import { Failure } from "../../failure/failure.ts";
import { failureFromUnknown } from "../../failure/from-unknown.ts";
import type { EnqueuedFile, Labels } from "../../ingress/files/enqueue-file.ts";
import { lookThrough } from "../../ingress/files/look-through.ts";
import { looksAt } from "../../ingress/files/looks-at.ts";
import type { RunningWorker } from "../../queue/worker-state.ts";
import type { HintSender } from "../../wake-buses/hint-sender.ts";
import { hasEnded, type JobRow } from "../job-row.ts";
import { hintsOf } from "../wake-workers.ts";
import { followJobs } from "./follow-jobs.ts";
import { openHands } from "./hands.ts";

export type IngestRequest = {
  readonly paths: readonly string[];
  /** What relative paths are relative to. */
  readonly folder: string;
  readonly labels: Labels;
  /** Stay until all jobs have ended. */
  readonly wait: boolean;
  /** Enqueue every file, also those that are as they were. */
  readonly again: boolean;
  /** Delete the documents of files that are gone from the folders, whatever the setting says. */
  readonly deleteMissing: boolean;
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
  /** Chunks left out, for the provider refused them; rag job says which. */
  readonly rejected: number;
  /** Documents of which every chunk was there already, and files that were not even opened. */
  readonly unchanged: number;
  /** Files that were found under a new name or in another folder, and kept their document. */
  readonly moved: number;
  /** Files that were there before and are gone from the folders; their documents were deleted, or kept. */
  readonly gone: number;
  readonly deleted: number;
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
  return tally.summary(tally.done() + tally.there(), enqueued.size - tally.settled(), startedAt);
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
  const { tally, watcher, enqueued, hints } = ways;
  let found = 0;
  const told = {
    found() {
      found += 1;
      watcher.found(found, false);
    },
    enqueued(file: EnqueuedFile) {
      enqueued.set(file.jobId, file);
      hints.send(file);
    },
    unchanged: tally.leave,
    moved: tally.move,
    growing: (path: string) => tally.fail(path, new Failure("source.changed")),
    skipped: tally.skip,
    failed: tally.fail,
  };
  for (const look of await looksAt(request, parts, request.labels)) {
    if (signal.aborted) return;
    try {
      tally.miss(await lookThrough(look, told, signal));
    } catch (thrown) {
      if (signal.aborted) return;
      const failure = failureFromUnknown(thrown);
      if (failure.code !== "ingress.too-many-gone") throw thrown;
      tally.fail(request.paths.join(", "), failure);
    }
  }
  watcher.found(found, true);
}

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
  const totals = { done: 0, settled: 0, chunks: 0, reused: 0, rejected: 0, unchanged: 0 };
  const files = { unchanged: 0, moved: 0, gone: 0, deleted: 0 };
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
    leave() {
      files.unchanged += 1;
    },
    move() {
      files.moved += 1;
    },
    miss(looked: { readonly gone: number; readonly deleted: number }) {
      files.gone += looked.gone;
      files.deleted += looked.deleted;
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
      totals.rejected += row.rejected_chunks;
      if (file.wasLive && row.reused_chunks === row.processed_chunks) totals.unchanged += 1;
      watcher.ended(file.path, row);
    },
    lose(file: EnqueuedFile) {
      totals.settled += 1;
      fail(file.path, "job.document-gone", "The document was deleted while we waited.");
    },
    done: () => totals.done,
    /** Documents that were searchable before and need nothing. */
    there: () => files.unchanged + files.moved,
    settled: () => totals.settled,
    summary: (documents: number, queued: number, startedAt: number): IngestSummary => ({
      documents,
      chunks: totals.chunks,
      embedded: totals.chunks - totals.reused - totals.rejected,
      reused: totals.reused,
      rejected: totals.rejected,
      unchanged: totals.unchanged + files.unchanged,
      moved: files.moved,
      gone: files.gone,
      deleted: files.deleted,
      queued,
      skipped,
      failed,
      seconds: Math.round(performance.now() - startedAt) / 1000,
    }),
  };
}
