// What is known of one run of a job when it has ended: everything a trace is made of, as plain data. Ids, codes and
// figures only; no title, no text, no tenant, no user.

export type Attributes = Readonly<Record<string, string | number | boolean>>;

/** Times in milliseconds since 1970. `code` is empty when it went well. */
export type TracedStep = {
  readonly name: string;
  /** What the worker does itself, or what it asks of somebody over the network. */
  readonly kind: "internal" | "client";
  readonly startMs: number;
  readonly endMs: number;
  readonly code: string;
  readonly attributes: Attributes;
};

export type JobTrace = {
  readonly jobId: string;
  readonly kind: string;
  readonly startMs: number;
  readonly endMs: number;
  /** `complete`, `failed`, `retried`, `released` or `lease_lost`. */
  readonly outcome: string;
  readonly code: string;
  /** Somebody has to look, or the work was for nothing. */
  readonly isError: boolean;
  readonly attributes: Attributes;
  readonly steps: readonly TracedStep[];
};
