// Hints over NATS, on a plain subject: no stream keeps them, for a hint that comes late is worth nothing.
// No queue group either: every replica is woken, and the database gives the job to one of them.
import { type ConnectionOptions, connect, errors, type NatsConnection } from "@nats-io/transport-node";
import type { Failure } from "../failure/failure.ts";
import type { ServerAddress } from "./server-address.ts";
import { type Broker, busFailure, type Hear, HINT_CHANNEL } from "./wake-bus.ts";
import { watchSockets } from "./watch-sockets.ts";

export type NatsOptions = {
  /** A user without a password is a token. */
  readonly address: ServerAddress;
  /** null: only to publish. */
  readonly hear: Hear | null;
};

const CONNECT_MS = 5000;

/** Throws `wake.unreachable` or `wake.denied`. */
export function connectNats({ address, hear }: NatsOptions, signal: AbortSignal): Promise<Broker> {
  const { promise: lost, resolve: lose } = Promise.withResolvers<Awaited<Broker["lost"]>>();
  return openNats(address, signal, async (connection, destroy) => {
    void connection.closed().then((thrown) => lose(natsFailure(thrown)));
    if (hear !== null) {
      connection.subscribe(HINT_CHANNEL, {
        callback: (error, message) => {
          if (error === null) hear(message.data);
          else lose(natsFailure(error));
        },
      });
      // Whether we may is said before the answer to the next question.
      await Promise.race([connection.flush(), lost.then((why) => Promise.reject(why))]);
    }
    return {
      lost,
      probe: () => connection.flush(),
      async publish(payload) {
        try {
          connection.publish(HINT_CHANNEL, payload);
          await connection.flush();
        } catch (thrown) {
          throw natsFailure(thrown);
        }
      },
      async close() {
        destroy();
        await connection.close();
      },
    };
  });
}

/**
 * One connection that does not come back by itself (`stayConnected` makes the next), and what `build` makes of it.
 * `destroy` cuts it at once; so do the signal and an error of `build`. Throws `wake.unreachable` or `wake.denied`.
 */
export async function openNats<Built>(
  address: ServerAddress,
  signal: AbortSignal,
  build: (connection: NatsConnection, destroy: () => void) => Promise<Built>,
): Promise<Built> {
  signal.throwIfAborted();
  const { opening, destroy } = watchSockets(() => connect(connectionOptions(address)));
  signal.addEventListener("abort", destroy, { once: true });
  try {
    return await build(await opening, destroy);
  } catch (thrown) {
    destroy();
    throw natsFailure(thrown);
  } finally {
    signal.removeEventListener("abort", destroy);
  }
}

export const natsFailure = (thrown: unknown): Failure => busFailure("nats", thrown, isDenied);

function connectionOptions({ host, port, user, password, tls }: ServerAddress): ConnectionOptions {
  return {
    servers: host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`,
    ...(tls && { tls: {} }),
    ...(user !== "" && (password === "" ? { token: user } : { user, pass: password })),
    name: "rag-worker",
    timeout: CONNECT_MS,
    reconnect: false,
    // The library would ask a name server; the system's own way knows /etc/hosts, and IPv4 beside IPv6.
    resolve: false,
    ignoreClusterUpdates: true,
    noAsyncTraces: true,
  };
}

function isDenied(thrown: Error): boolean {
  const cause: unknown = thrown.cause;
  if (cause instanceof Error && isDenied(cause)) return true;
  return (
    thrown instanceof errors.AuthorizationError ||
    thrown instanceof errors.UserAuthenticationExpiredError ||
    thrown instanceof errors.PermissionViolationError
  );
}
