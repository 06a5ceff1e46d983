// A few connections, each given to one caller at a time. A pool of single-connection clients instead of the
// library's own pool, for that one queues without bound, time limit or abort, and cannot drop a connection
// that hangs.
import type { Socket } from "node:net";
import postgres, { type Sql } from "postgres";
import { Failure } from "../failure/failure.ts";
import { openGate } from "./gate.ts";
import type { PostgresAddress } from "./postgres-address.ts";
import { openClient } from "./postgres-client.ts";
import { final } from "./retrying.ts";

export type PoolOptions = {
  readonly address: PostgresAddress;
  readonly poolMax: number;
  /** Longest wait for a free connection, and for a new one to be made. */
  readonly poolTimeoutSeconds: number;
  /** The library's own options beside ours (types). */
  readonly types?: Readonly<Record<string, postgres.PostgresType>>;
  readonly fetchTypes?: boolean;
};

export type Connection = {
  readonly address: PostgresAddress;
  readonly sql: Sql;
  /** Cuts the connection; the next caller gets a new one. For a statement that does not end. */
  drop(): void;
};

export type PostgresPool = {
  /** Waits for a connection, lends it to `work`, takes it back when `work` ends. First come, first served. */
  use<Result>(work: (connection: Connection) => Promise<Result>, signal?: AbortSignal): Promise<Result>;
  /** Refuses new callers, waits for those at work, closes. */
  close(): Promise<void>;
};

const CONNECT_SECONDS = 10;
const IDLE_SECONDS = 60;
const LIFETIME_SECONDS = 30 * 60;

export function openPool(options: PoolOptions): PostgresPool {
  const idle: Connection[] = Array.from({ length: options.poolMax }, () => openConnection(options));
  const waiting = new Set<(connection: Connection) => void>();
  const gate = openGate();

  const take = (signal: AbortSignal | undefined): Promise<Connection> => {
    const free = idle.pop(); // The last one used: the others may go idle and close.
    if (free !== undefined) return Promise.resolve(free);
    return new Promise((resolve, reject) => {
      const leave = (reason: unknown) => {
        stopWaiting();
        reject(reason);
      };
      const timer = setTimeout(
        () => leave(noFreeConnection(options.poolTimeoutSeconds)),
        options.poolTimeoutSeconds * 1000,
      );
      const onAbort = () => leave(signal?.reason);
      const receive = (connection: Connection) => {
        stopWaiting();
        resolve(connection);
      };
      const stopWaiting = () => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", onAbort);
        waiting.delete(receive);
      };
      waiting.add(receive);
      signal?.addEventListener("abort", onAbort, { once: true });
    });
  };

  const giveBack = (connection: Connection) => {
    const [next] = waiting;
    if (next === undefined) idle.push(connection);
    else next(connection);
  };

  return {
    use: (work, signal) =>
      gate.enter(async () => {
        signal?.throwIfAborted();
        const connection = await take(signal);
        try {
          return await work(connection);
        } catch (thrown) {
          if (!isStatementError(thrown)) connection.drop();
          throw thrown;
        } finally {
          giveBack(connection);
        }
      }),
    close: () =>
      gate.close(async () => {
        await Promise.all(idle.map((connection) => connection.sql.end({ timeout: 5 })));
      }),
  };
}

/**
 * The server refused a statement, and the connection is as good as before. After anything else a new client
 * is made: the library's own reconnects with what it had not yet sent, or never sends again.
 */
function isStatementError(thrown: unknown): boolean {
  if (thrown instanceof Failure) return true;
  return thrown instanceof postgres.PostgresError && thrown.severity === "ERROR";
}

function openConnection(options: PoolOptions): Connection {
  const { address } = options;
  const connectSeconds = Math.min(CONNECT_SECONDS, options.poolTimeoutSeconds);
  const sockets = new Set<Socket>();
  let opened = 0;
  const open = () => {
    opened += 1;
    const own = opened;
    return openClient({
      address,
      connectSeconds,
      idleSeconds: IDLE_SECONDS,
      lifetimeSeconds: LIFETIME_SECONDS,
      ...(options.types === undefined ? {} : { types: options.types }),
      ...(options.fetchTypes === undefined ? {} : { fetchTypes: options.fetchTypes }),
      onSocket(socket) {
        if (own !== opened) socket.destroy(); // Dropped while it was connecting.
        sockets.add(socket);
        socket.once("close", () => sockets.delete(socket));
      },
    });
  };

  let sql = open();
  return {
    address,
    get sql() {
      return sql;
    },
    drop() {
      const dropped = sql;
      sql = open();
      void dropped.end({ timeout: 0 }).catch(() => {});
      for (const socket of sockets) socket.destroy();
    },
  };
}

const noFreeConnection = (seconds: number): Failure =>
  final(
    new Failure("database.unreachable", {
      says: `No database connection became free within ${seconds} s.`,
      facts: { waitedSeconds: seconds },
    }),
  );
