// The contract of a language model that says what a document is about.
import type { DocumentAnalysis, GroupAnalysis, TokenUse } from "../document/analysis.ts";
import type { FailureCode } from "../failure/catalogue.ts";

/** One request: what the model reads of the document, and what it is to say of it. */
export type Question = {
  readonly of: "group" | "document";
  /** The document as data; the same bytes for every question about it, so that the provider reads it once. */
  readonly prefix: string;
  readonly suffix: string;
  /** Lines that `chunkContexts` must have. */
  readonly chunks: number;
  /** Whether other questions with this prefix follow soon. */
  readonly shared: boolean;
  /** Most tokens of the answer, thinking included. */
  readonly maxTokens: number;
};

/** An answer, or why there is none although it was paid for: that is the question's fault, not an outage. */
export type Reply = {
  readonly said: GroupAnalysis | DocumentAnalysis | null;
  /** null when something was said: `analyse.refused`, `.truncated`, `.bad-answer`, `.input-rejected`, `.too-long`. */
  readonly code: FailureCode | null;
  readonly use: TokenUse;
  readonly costUsd: number;
};

export type Analyst = {
  readonly provider: "claude";
  readonly model: string;
  /** The model and the version of what it is asked: answers of another plan are of another kind. */
  readonly plan: string;
  /** null where nobody knows the price. */
  readonly isPriced: boolean;
  /** Throws Failure `analyse.*` when no question would be answered just now, or the signal's reason. */
  ask(question: Question, signal: AbortSignal): Promise<Reply>;
  /** Asks nothing that is paid for. Throws Failure `analyse.*` when key or model are wrong. */
  check(signal: AbortSignal): Promise<void>;
};
