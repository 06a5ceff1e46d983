// Document to original: its bytes in a temporary file of their own.
import type { Document, Original } from "../document/document.ts";
import type { StepContext } from "./step-context.ts";

export type FetchOriginal = (document: Document, signal: AbortSignal) => Promise<Original>;

export async function fetchOriginal(fetch: FetchOriginal, step: StepContext): Promise<Original> {
  const startedAt = performance.now();
  // Every source ends a read that brings nothing for long by itself: a slow one is no stall.
  const alive = setInterval(step.touch, 1000);
  const original = await fetch(step.document, step.signal).finally(() => clearInterval(alive));
  step.activity.say("original.fetched", {
    jobId: step.job.id,
    scheme: step.document.sourceUri?.split(":", 1)[0] ?? "",
    bytes: original.byteSize,
    durationMs: Math.round(performance.now() - startedAt),
  });
  return original;
}
