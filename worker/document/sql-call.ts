// The contract of the database as every room sees it: call a function by name, get its JSON answer.
// The answer is unknown here; the room that asked decodes it at its border.

/**
 * Calls `public.<name>` with named arguments and answers its jsonb (or text) value; for a set-returning
 * function, an array with one object a row. Idempotent functions may be sent twice by a transport.
 * Throws a Failure (`database.*`); never an SQL error.
 */
export type SqlCall = (
  name: `rag_${string}`,
  args: Readonly<Record<string, unknown>>,
  options?: SqlCallOptions,
) => Promise<unknown>;

export type SqlCallOptions = {
  readonly signal?: AbortSignal;
  /** Sent once and never again by the transport: the caller wants to know that an answer was lost. */
  readonly once?: boolean;
  /** It may take minutes: not on a connection that others wait for, where there are several. */
  readonly apart?: boolean;
};
