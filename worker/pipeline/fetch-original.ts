// Document to original: its bytes in a temporary file of their own.
import type { Document, Original } from "../document/document.ts";
import { type StepContext, waitInLine } from "./step-context.ts";

export type FetchOriginal = (document: Document, signal: AbortSignal) => Promise<Original>;

export async function fetchOriginal(fetch: FetchOriginal, step: StepContext): Promise<Original> {
  const startedAt = performance.now();
  // Every source ends a read that brings nothing for long by itself: a slow one is no stall.
  const original = await waitInLine(step, fetch(step.document, step.signal));
  step.activity.say("original.fetched", {
    jobId: step.job.id,
    scheme: step.document.sourceUri?.split(":", 1)[0] ?? "",
    bytes: original.byteSize,
    durationMs: Math.round(performance.now() - startedAt),
  });
  const password = passwordOf(step.document);
  return password === null ? original : { ...original, password };
}

/** `metadata.password` opens an encrypted file. */
function passwordOf({ metadata }: Document): string | null {
  const { password } = metadata;
  return typeof password === "string" && password !== "" ? password : null;
}
