// What the worker knows of its jobs, as events for the users whose documents they are. Listens to what is said
// anyway: no question to the database, and nothing a job waits for. Progress is told about once a second a job; how a
// job ended is told always, and after all of its progress.
import type { Activity } from "../activity/activity.ts";
import type { EventName, Events } from "../activity/catalogue.ts";
import type { RealtimeEvent } from "./event.ts";

export type JobEvents = {
  /** Tells no more; what is owed is told first. */
  close(): void;
};

export type Emit = (
  event: RealtimeEvent,
  about: { readonly jobId: string; readonly isLast: boolean },
) => void;

type Owned = {
  readonly userId: string;
  readonly jobId: string;
  readonly documentId: string | null;
  /** It brings the document's text into the index: how it ends is the document's status. */
  readonly isOfDocument: boolean;
  stage: string | null;
  /** The newest progress that was not told yet. */
  owed: RealtimeEvent | null;
  toldAt: number;
  timer: NodeJS.Timeout | null;
};

/** Between two events of progress of one job. */
const PROGRESS_MS = 1000;
// A worker has at most a thousand jobs at once; what is above was never told to have ended.
const MOST_JOBS = 5000;

export function tellJobEvents(activity: Activity, emit: Emit, progressMs = PROGRESS_MS): JobEvents {
  const jobs = new Map<string, Owned>();

  const say = (job: Owned, type: string, payload: Readonly<Record<string, unknown>>, isLast = false) => {
    emit({ user_id: job.userId, type, payload }, { jobId: job.jobId, isLast });
  };
  const sayJob = (job: Owned, status: string, errorCode: string | null, isLast = false) => {
    const { jobId: job_id, documentId: document_id, stage } = job;
    say(job, "job.status_updated", { job_id, document_id, status, stage, error_code: errorCode }, isLast);
  };
  const tellOwed = (job: Owned) => {
    if (job.timer !== null) clearTimeout(job.timer);
    job.timer = null;
    if (job.owed === null) return;
    emit(job.owed, { jobId: job.jobId, isLast: false });
    job.owed = null;
    job.toldAt = performance.now();
  };
  const progressed = (job: Owned, payload: Readonly<Record<string, unknown>>) => {
    job.owed = { user_id: job.userId, type: "job.progress", payload };
    const waitMs = job.toldAt + progressMs - performance.now();
    if (waitMs <= 0) tellOwed(job);
    else job.timer ??= setTimeout(() => tellOwed(job), waitMs).unref();
  };
  const ended = (jobId: string, status: string, code: string | null, documentStatus: string | null) => {
    const job = jobs.get(jobId);
    if (job === undefined) return;
    tellOwed(job);
    jobs.delete(jobId);
    if (documentStatus !== null && job.isOfDocument)
      say(job, "document.status_updated", { document_id: job.documentId, status: documentStatus });
    sayJob(job, status, code, true);
  };

  const heard: { readonly [Name in EventName]?: (facts: Events[Name]) => void } = {
    "job.claimed": ({ jobId, documentId, userId, kind }) => {
      if (userId === null || userId === undefined || userId === "" || jobs.size >= MOST_JOBS) return;
      const isOfDocument = kind === "document";
      const job: Owned = {
        userId,
        jobId,
        documentId,
        isOfDocument,
        stage: isOfDocument ? "fetching" : null,
        owed: null,
        toldAt: Number.NEGATIVE_INFINITY,
        timer: null,
      };
      jobs.set(jobId, job);
      sayJob(job, "processing", null);
    },
    "segments.extracted": ({ jobId }) => {
      const job = jobs.get(jobId);
      if (job === undefined || !job.isOfDocument) return;
      say(job, "document.status_updated", { document_id: job.documentId, status: "parsed" });
    },
    "job.progressed": (facts) => {
      const job = jobs.get(facts.jobId);
      if (job === undefined) return;
      if (job.stage !== facts.stage) {
        job.stage = facts.stage;
        sayJob(job, "processing", null);
      }
      progressed(job, {
        job_id: facts.jobId,
        document_id: facts.documentId,
        processed_segments: facts.processedSegments,
        total_segments: facts.totalSegments,
        processed_chunks: facts.processedChunks,
        total_chunks: facts.totalChunks,
      });
    },
    "job.completed": ({ jobId }) => ended(jobId, "complete", null, "ingested"),
    "job.failed": ({ jobId, code }) => ended(jobId, "failed", code, "failed"),
    "job.retried": ({ jobId, code }) => ended(jobId, "queued", code, null),
    "job.released": ({ jobId, code }) => ended(jobId, "queued", code, null),
    // Whoever has it now tells of it.
    "lease.lost": ({ jobId }) => {
      const job = jobs.get(jobId);
      if (job !== undefined && job.timer !== null) clearTimeout(job.timer);
      jobs.delete(jobId);
    },
  };
  const stop = activity.listen((name, facts) => {
    // SAFETY: a listener is found by the name whose facts it takes.
    (heard[name] as ((facts: unknown) => void) | undefined)?.(facts);
  });
  return {
    close() {
      stop();
      for (const job of jobs.values()) tellOwed(job);
      jobs.clear();
    },
  };
}
