// The contract of one database session of somebody's own, over which the server speaks up by itself (LISTEN).
// Unlike a call it is bound to its connection: when that is gone the line is, and whoever holds it asks for another.

export type SqlLine = {
  /** The server process as its greeting named it; a pooler puts a number of its own there. */
  readonly greetedBy: number | null;
  /** Throws a Failure (`database.*`), also once the line is gone: it never connects again by itself. */
  query(text: string, parameters?: readonly string[]): Promise<readonly Readonly<Record<string, unknown>>[]>;
  /** Resolves, never rejects, when the connection is gone for whatever reason. */
  readonly gone: Promise<void>;
  /** Cuts the connection without waiting for the other side. Safe to call twice. */
  close(): void;
};

/** What the server says unasked: a NOTIFY on a channel that this session listens to. */
export type HearNotification = (channel: string, payload: string) => void;

/** Connects. Throws a Failure (`database.*`); the signal's reason when it fires before the line stands. */
export type OpenSqlLine = (hear: HearNotification, signal: AbortSignal) => Promise<SqlLine>;
