// What a wake-up bus is to the rest of the worker: somebody who says now and then "look at the queue".
// Any bus may drop, double or delay every message, and polling finds the job all the same; so nothing here throws
// once it is open, and nothing waits for a server that is away.
import { Failure } from "../failure/failure.ts";

export type WakeBusName = "redis" | "nats" | "postgres" | "silent";

/** live: hints arrive. unreachable: its server is away, and we go on trying. silent: none will come. */
export type WakeBusState = "live" | "unreachable" | "silent";

export type WakeBusCounters = {
  /** Messages of any kind. */
  readonly received: number;
  /** Of these: could not be a hint, and woke nobody. */
  readonly malformed: number;
  /** Of these: came so close upon another that one look at the queue serves both. */
  readonly coalesced: number;
  /** Connections after the first. */
  readonly reconnects: number;
};

export type WakeBus = {
  readonly name: WakeBusName;
  state(): WakeBusState;
  /** Why it is not live, in words for the operator; null when it is, and where no bus was asked for. */
  advice(): string | null;
  counters(): WakeBusCounters;
  /** The channel on which the database's insert trigger should notify; null while nobody listens there. */
  listens(): string | null;
  /** Safe to call twice, also while it is connecting. */
  close(): Promise<void>;
};

/** One connection to a bus, used until it is gone. */
export type BusConnection = {
  /** Resolves, never rejects, with why the connection is gone. */
  readonly lost: Promise<Failure>;
  /** A round trip to the server. Whatever it rejects with means that the connection is good for nothing. */
  probe(): Promise<unknown>;
  /** Never throws, and does not wait for a server that does not answer. */
  close(): Promise<void>;
};

/** A connection over which hints can be sent, too. */
export type Broker = BusConnection & {
  /** Resolves when the server has it. Throws a Failure `wake.*`. */
  publish(payload: string): Promise<void>;
};

/**
 * Opens one connection. Throws a Failure: `wake.*` or `database.*`. The signal fires when the time is over or the
 * bus is closed; what is opened all the same is closed by the caller.
 */
export type ConnectBus<Connection extends BusConnection = BusConnection> = (
  signal: AbortSignal,
) => Promise<Connection>;

/** Takes what came over the wire; any payload, of any length. Returns at once. */
export type Hear = (payload: string | Uint8Array) => void;

/** On Redis the channel, on NATS the subject on which enqueuing clients publish. */
export const HINT_CHANNEL = "parse_jobs";

const SYSTEM_SAYS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "Nothing listens at its address.",
  ENOTFOUND: "Its host name is unknown.",
  EAI_AGAIN: "Its host name could not be looked up.",
  ETIMEDOUT: "It did not answer in time.",
  ECONNRESET: "It closed the connection.",
  EPIPE: "It closed the connection.",
};

/** `wake.unreachable` or `wake.denied`. The libraries' own messages stay behind: they may quote an address. */
export function busFailure(bus: WakeBusName, thrown: unknown, denied: (thrown: Error) => boolean): Failure {
  if (thrown instanceof Failure) return thrown;
  if (thrown instanceof Error && denied(thrown)) return new Failure("wake.denied", { facts: { bus } });
  const code = systemCodeOf(thrown);
  const reason = code === null ? "" : (SYSTEM_SAYS[code] ?? "");
  return new Failure("wake.unreachable", {
    says: `The wake-up server (${bus}) cannot be reached. ${reason}`.trim(),
    facts: { bus, ...(code !== null && { reason: code }) },
  });
}

/** The code of a network error, which libraries wrap once or twice. */
function systemCodeOf(thrown: unknown): string | null {
  const chain = [thrown, causeOf(thrown), causeOf(causeOf(thrown))];
  for (const error of chain) {
    const code = error instanceof Error && "code" in error ? error.code : null;
    if (typeof code === "string" && /^[A-Z][A-Z_]{2,40}$/.test(code)) return code;
  }
  return null;
}

const causeOf = (thrown: unknown): unknown => (thrown instanceof Error ? thrown.cause : undefined);
