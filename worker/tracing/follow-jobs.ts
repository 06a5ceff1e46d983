// Collects what is said of each job into one trace of its run. Listens to what is said anyway, so nothing of a job's
// way knows that it is traced, and it costs a job the pushing of some facts onto a list.
import type { Activity } from "../activity/activity.ts";
import type { EventName, Events } from "../activity/catalogue.ts";
import type { Attributes, JobTrace, TracedStep } from "./job-trace.ts";

export type JobFollower = {
  /** A job that begins to be followed, and one whose run has ended. */
  readonly began: (jobId: string) => void;
  readonly ended: (trace: JobTrace) => void;
};

// A worker has at most a thousand jobs at once; what is above was never told to have ended.
const MOST_JOBS = 5_000;
// A document of 20,000 chunks stages 1,250 batches: the first of each step say how it went, the rest is counted.
const MOST_OF_A_STEP = 64;

type Followed = {
  readonly claimed: Events["job.claimed"];
  readonly startMs: number;
  readonly steps: TracedStep[];
  readonly seen: Map<string, number>;
};

type End = { readonly outcome: string; readonly code: string; readonly isError: boolean };
type Listeners = { readonly [Name in EventName]?: (facts: Events[Name]) => void };

/** Follows until the returned function is called. */
export function followJobs(activity: Activity, { began, ended }: JobFollower): () => void {
  const jobs = new Map<string, Followed>();

  const begin = (claimed: Events["job.claimed"]) => {
    if (jobs.size >= MOST_JOBS) return;
    jobs.set(claimed.jobId, { claimed, startMs: Date.now(), steps: [], seen: new Map() });
    began(claimed.jobId);
  };
  const add = (jobId: string, name: string, elapsedMs: number, step: Omit<TracedStep, keyof Timed>) => {
    const job = jobs.get(jobId);
    if (job === undefined) return;
    const seen = (job.seen.get(name) ?? 0) + 1;
    job.seen.set(name, seen);
    if (seen > MOST_OF_A_STEP) return;
    const endMs = Date.now();
    job.steps.push({ name, startMs: Math.max(job.startMs, endMs - elapsedMs), endMs, ...step });
  };
  const end = (jobId: string, how: End, more: Attributes = {}) => {
    const job = jobs.get(jobId);
    if (job === undefined) return;
    jobs.delete(jobId);
    const { kind, attempt, documentId } = job.claimed;
    const attributes = {
      "rag.job.id": jobId,
      "rag.job.kind": kind,
      "rag.job.attempt": attempt,
      "rag.job.outcome": how.outcome,
      ...(documentId !== null && { "rag.document.id": documentId }),
      ...leftOut(job.seen),
      ...more,
    };
    ended({ jobId, kind, startMs: job.startMs, endMs: Date.now(), ...how, attributes, steps: job.steps });
  };

  const listeners: Listeners = {
    "job.claimed": begin,
    "step.ended": ({ jobId, step, elapsedMs, ownMs, code, counts }) =>
      add(jobId, step, elapsedMs, {
        kind: "internal",
        code,
        attributes: { "rag.step.own_ms": Math.round(ownMs * 1000) / 1000, ...named(counts ?? {}) },
      }),
    "request.ended": ({ jobId, elapsedMs, code, provider, model, ...counts }) =>
      add(jobId, "embed request", elapsedMs, {
        kind: "client",
        code,
        attributes: {
          "rag.provider": provider,
          "rag.model": model,
          "rag.texts": counts.texts,
          "rag.request.texts": counts.textsInRequest,
          "rag.request.tokens": counts.tokensInRequest,
        },
      }),
    "job.completed": ({ jobId, chunks, reused, tokens, costUsd, unchanged }) =>
      end(
        jobId,
        { outcome: "complete", code: "", isError: false },
        {
          ...named({ chunks, reused, tokens }),
          "rag.unchanged": unchanged,
          ...(costUsd !== null && { "rag.cost_usd": costUsd }),
        },
      ),
    "job.failed": ({ jobId, code }) => end(jobId, { outcome: "failed", code, isError: true }),
    "job.retried": ({ jobId, code }) => end(jobId, { outcome: "retried", code, isError: true }),
    // It waits for somebody, or we stop: nothing went wrong.
    "job.released": ({ jobId, code }) => end(jobId, { outcome: "released", code, isError: false }),
    "lease.lost": ({ jobId }) => end(jobId, { outcome: "lease_lost", code: "job.lease-lost", isError: true }),
  };
  return activity.listen((name, facts) => tell(listeners, name, facts));
}

type Timed = Pick<TracedStep, "name" | "startMs" | "endMs">;

function tell<Name extends EventName>(listeners: Listeners, name: Name, facts: Events[Name]): void {
  listeners[name]?.(facts);
}

const named = (counts: Readonly<Record<string, number>>): Attributes =>
  Object.fromEntries(Object.entries(counts).map(([name, count]) => [`rag.${name}`, count]));

/** How many of a step have no span of their own. */
function leftOut(seen: ReadonlyMap<string, number>): Attributes {
  const more = [...seen].filter(([, count]) => count > MOST_OF_A_STEP);
  return Object.fromEntries(
    more.map(([name, count]) => [`rag.left_out.${name.replace(" ", "_")}`, count - MOST_OF_A_STEP]),
  );
}
