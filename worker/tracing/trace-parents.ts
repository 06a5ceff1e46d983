// Asks under which span a job was enqueued. Once for all jobs that came together, beside their work: a claim that
// carried it would be paid by everybody, and nothing of a job waits for the answer.
import { z } from "zod";
import type { SqlCall } from "../document/sql-call.ts";

/** The traceparent of a job; null when it has none, or nobody could say. Never rejects. */
export type AskForParent = (jobId: string) => Promise<string | null>;

const answerOf = z.record(z.string(), z.string());
// As many as rag_trace_parents looks at.
const MOST_AT_ONCE = 1_000;

export function openTraceParents(call: SqlCall): AskForParent {
  let wanted: string[] = [];
  let asked: Promise<Readonly<Record<string, string>>> | null = null;

  const ask = async () => {
    // Those of one claim are told of in one turn of the loop.
    await new Promise<void>((resolve) => setImmediate(resolve));
    const jobIds = wanted;
    wanted = [];
    asked = null;
    const answer: unknown = await call("rag_trace_parents", { p_job_ids: jobIds }).catch(() => ({}));
    return answerOf.safeParse(answer).data ?? {};
  };
  return async (jobId) => {
    if (wanted.length >= MOST_AT_ONCE) return null;
    wanted.push(jobId);
    asked ??= ask();
    return (await asked)[jobId] ?? null;
  };
}
