// Hints over NATS, on a plain subject: no stream keeps them, for a hint that comes late is worth nothing.
// No queue group either: every replica is woken, and the database gives the job to one of them.
import { type ConnectionOptions, connect, errors } from "@nats-io/transport-node";
import type { ServerAddress } from "./server-address.ts";
import { type Broker, busFailure, type Hear, HINT_CHANNEL } from "./wake-bus.ts";

export type NatsOptions = {
  /** A user without a password is a token. */
  readonly address: ServerAddress;
  /** null: only to publish. */
  readonly hear: Hear | null;
};

const CONNECT_MS = 5000;

/** Throws `wake.unreachable` or `wake.denied`. */
export async function connectNats(options: NatsOptions, signal: AbortSignal): Promise<Broker> {
  const { promise: lost, resolve: lose } = Promise.withResolvers<Awaited<Broker["lost"]>>();
  const failureOf = (thrown: unknown) => busFailure("nats", thrown, isDenied);
  try {
    signal.throwIfAborted();
    const connection = await connect(connectionOptions(options.address));
    void connection.closed().then((thrown) => lose(failureOf(thrown)));
    const { hear } = options;
    try {
      if (hear !== null) {
        const subscription = connection.subscribe(HINT_CHANNEL, {
          callback: (error, message) => {
            if (error === null) hear(message.data);
            else lose(failureOf(error));
          },
        });
        // Only the server's answer to the next question says whether we may.
        await connection.flush();
        if (subscription.isClosed()) throw await lost;
      }
    } catch (thrown) {
      await connection.close();
      throw thrown;
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
      close: () => connection.close(),
    };
  } catch (thrown) {
    throw failureOf(thrown);
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
