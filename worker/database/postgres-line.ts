// A session of somebody's own on Postgres, over which notifications arrive.
// Not the library's listen(): that connects again by itself, without a bound, and says nothing of the time between.
import type { Socket } from "node:net";
import type { OpenSqlLine, SqlLine } from "../document/sql-line.ts";
import { Failure } from "../failure/failure.ts";
import { type PostgresAddress, readAddress } from "./postgres-address.ts";
import { openClient } from "./postgres-client.ts";
import { failureFromSql } from "./sqlstate.ts";

const CONNECT_SECONDS = 10;

/** Throws `config.invalid` at once for an address that cannot be read. */
export function postgresLines(url: string): OpenSqlLine {
  const address = readAddress(url);
  return (hear, signal) => openLine(address, hear, signal);
}

const openLine = async (
  address: PostgresAddress,
  ...[hear, signal]: Parameters<OpenSqlLine>
): Promise<SqlLine> => {
  const sockets = new Set<Socket>();
  let isGone = false;
  let tellGone: () => void;
  const gone = new Promise<void>((resolve) => {
    tellGone = resolve;
  });
  const sql = openClient({
    address,
    connectSeconds: CONNECT_SECONDS,
    idleSeconds: null,
    lifetimeSeconds: null,
    onNotify: (channel, payload) => {
      if (!isGone) hear(channel, payload);
    },
    onClose: () => close(),
    onSocket(socket) {
      if (isGone) socket.destroy(); // Closed while it was connecting.
      sockets.add(socket);
    },
  });
  const close = () => {
    if (isGone) return;
    isGone = true;
    signal.removeEventListener("abort", close);
    for (const socket of sockets) socket.destroy();
    void sql.end({ timeout: 0 }).catch(() => {});
    tellGone();
  };
  const query = async (text: string, parameters: readonly string[] = []) => {
    // The library would open another connection, which listens to nothing.
    if (isGone) throw new Failure("database.unreachable", { says: "The session's connection is gone." });
    try {
      return await sql.unsafe(text, [...parameters]);
    } catch (thrown) {
      throw failureFromSql(thrown, address);
    }
  };

  signal.throwIfAborted();
  signal.addEventListener("abort", close, { once: true });
  try {
    const { state } = await query("select 1");
    signal.removeEventListener("abort", close);
    return { greetedBy: state?.pid ?? null, query, gone, close };
  } catch (thrown) {
    close();
    throw signal.aborted ? signal.reason : thrown;
  }
};
