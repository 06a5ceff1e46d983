// The one error type that crosses rooms: a code from the catalogue plus facts that are safe to log.
import { catalogue, type FailureCode, type FailureKind } from "./catalogue.ts";

/** Facts beside a failure: numbers, names, codes. Never document text, keys or URLs with a query string. */
export type FailureFacts = Readonly<Record<string, string | number | boolean | null | undefined>>;

type FailureOptions = {
  readonly cause?: unknown;
  /** When the provider said when to come back, in milliseconds from now. */
  readonly retryAfterMs?: number | undefined;
  /** One sentence that replaces the catalogue's, when more can be said without secrets. */
  readonly says?: string | undefined;
  readonly facts?: FailureFacts | undefined;
};

export class Failure extends Error {
  override readonly name = "Failure";
  readonly code: FailureCode;
  readonly kind: FailureKind;
  readonly facts: FailureFacts;
  readonly retryAfterMs: number | undefined;

  constructor(code: FailureCode, options: FailureOptions = {}) {
    super(options.says ?? catalogue[code].user, options.cause === undefined ? {} : { cause: options.cause });
    this.code = code;
    this.kind = catalogue[code].kind;
    this.facts = options.facts ?? {};
    this.retryAfterMs = options.retryAfterMs;
  }
}
