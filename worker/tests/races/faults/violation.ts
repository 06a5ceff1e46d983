// What the checker says when something did not hold.

export type Rule =
  /** A job that was put into the queue did not end as it must. */
  | "lost-job"
  /** A settlement by a token that was not the row's. */
  | "stale-transition"
  /** Chunks or a generation written under a token that was not the row's. */
  | "stale-chunk"
  /** Readers saw something else than one whole version of a document, or an older one after a newer. */
  | "wrong-live"
  /** A claim, a release or a crash charged what it must not. */
  | "wrong-attempts"
  /** Two tokens held one job, or two jobs one document, at once. */
  | "two-at-once"
  /** A job was taken from a worker that was alive. */
  | "early-rescue"
  /** The history itself has a gap: nothing it says can be trusted. */
  | "broken-history";

export type Violation = {
  readonly rule: Rule;
  /** Id of the job or document. */
  readonly subject: string;
  readonly says: string;
  /** Entry of the history that shows it; null for what only the end shows. */
  readonly seq: number | null;
};

export type RunFacts = {
  /** RAG_LEASE_SECONDS of the run's workers, in milliseconds. */
  readonly leaseMs: number;
};
