// Hints over NATS, on a plain subject: no stream keeps them, for a hint that comes late is worth nothing.
// No queue group either: every replica is woken, and the database gives the job to one of them.
import { type ConnectionOptions, connect, errors } from "@nats-io/transport-node";
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
export async function connectNats({ address, hear }: NatsOptions, signal: AbortSignal): Promise<Broker> {
  const { promise: lost, resolve: lose } = Promise.withResolvers<Awaited<Broker["lost"]>>();
  const failureOf = (thrown: unknown) => busFailure("nats", thrown, isDenied);
  signal.throwIfAborted();
  const { opening, destroy } = watchSockets(() => connect(connectionOptions(address)));
  signal.addEventListener("abort", destroy, { once: true });
  try {
    const connection = await opening;
    void connection.closed().then((thrown) => lose(failureOf(thrown)));
    if (hear !== null) {
      connection.subscribe(HINT_CHANNEL, {
        callback: (error, message) => {
          if (error === null) hear(message.data);
          else lose(failureOf(error));
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
          throw failureOf(thrown);
        }
      },
      async close() {
        destroy();
        await connection.close();
      },
    };
  } catch (thrown) {
    destroy();
    throw failureOf(thrown);
  } finally {
    signal.removeEventListener("abort", destroy);
  }
}

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
