// One client of the Postgres library with one connection, with every option written out that the library would
// otherwise take from the environment or from the address.
import type { Socket } from "node:net";
import postgres, { type Sql } from "postgres";
import type { PostgresAddress } from "./postgres-address.ts";
import { connectSocket } from "./postgres-socket.ts";

export type ClientOptions = {
  readonly address: PostgresAddress;
  readonly connectSeconds: number;
  /** After so long without a query the connection is closed; null: never. */
  readonly idleSeconds: number | null;
  readonly lifetimeSeconds: number | null;
  /** Each socket, once it is connected: to cut it. */
  readonly onSocket: (socket: Socket) => void;
  readonly onNotify?: (channel: string, payload: string) => void;
  readonly onClose?: () => void;
  /** The library's own options beside ours. */
  readonly types?: Readonly<Record<string, postgres.PostgresType>>;
  readonly fetchTypes?: boolean;
};

const KEEP_ALIVE_SECONDS = 20;

/** Connects with the first query. */
export function openClient(options: ClientOptions): Sql {
  const { address } = options;
  return postgres({
    host: address.host,
    port: address.port,
    ...(address.path === null ? {} : { path: address.path }),
    user: address.user,
    pass: () => address.password, // A function: the library would replace an empty text by PGPASSWORD.
    database: address.database,
    ssl: address.tls,
    sslnegotiation: null,
    max: 1,
    prepare: false, // A prepared statement stays on one server connection; a transaction pooler changes it.
    fetch_types: options.fetchTypes ?? false,
    types: options.types ?? {},
    connect_timeout: options.connectSeconds,
    idle_timeout: options.idleSeconds,
    max_lifetime: options.lifetimeSeconds,
    keep_alive: KEEP_ALIVE_SECONDS,
    max_pipeline: 100,
    backoff: (failed: number) => Math.min(0.05 * 2 ** failed, 1) * Math.random(),
    debug: false,
    target_session_attrs: undefined,
    connection: { application_name: "rag-worker" },
    onnotice: () => {},
    ...(options.onNotify === undefined ? {} : { onnotify: options.onNotify }),
    ...(options.onClose === undefined ? {} : { onclose: options.onClose }),
    socket: async () => {
      const socket = await connectSocket(address, options.connectSeconds * 1000);
      options.onSocket(socket);
      return socket;
    },
    // SAFETY: the library's types lack `socket`, `sslnegotiation`, `pass`, `max_pipeline`, `onnotify` and the null
    // for "never", all of which its source reads.
  } as unknown as postgres.Options<Record<string, postgres.PostgresType>>) as unknown as Sql;
}
