// What a claim gives: a job, and the lease that proves it is ours.
import type { Document } from "./document.ts";

/** `reembed`: a document's stored segments, with another model than the one that serves (rag model switch). */
export type JobKind = "document" | "reembed" | "relationships" | "sync";

export type Lease = {
  readonly jobId: string;
  /** From a sequence that only rises. Decimal text, for a bigint does not survive JSON. */
  readonly token: string;
};

export type Job = {
  readonly id: string;
  readonly kind: JobKind;
  readonly tenantId: string;
  /** 1 on the first claim. */
  readonly attempt: number;
  readonly maxAttempts: number;
  readonly lease: Lease;
  readonly document: Document | null;
};
