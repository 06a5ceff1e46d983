// Hints, and events, over Redis pub/sub. One client for one connection: it subscribes or it publishes, and does not connect
// again by itself.
import { createClient } from "@redis/client";
import type { ServerAddress } from "./server-address.ts";
import { type Broker, busFailure, type Hear, HINT_CHANNEL } from "./wake-bus.ts";

export type RedisOptions = {
  readonly address: ServerAddress;
  /** null: only to publish. */
  readonly hear: Hear | null;
  /** Where it listens or publishes; the channel of hints when nothing is said. */
  readonly channel?: string;
};

const CONNECT_MS = 5000;
// What a server that stands still may leave waiting here; a hint more would say nothing new.
const MOST_WAITING = 100;

/** Throws `wake.unreachable` or `wake.denied`. */
export async function connectRedis(
  { address, hear, channel = HINT_CHANNEL }: RedisOptions,
  signal: AbortSignal,
): Promise<Broker> {
  const { promise: lost, resolve: lose } = Promise.withResolvers<Awaited<Broker["lost"]>>();
  const { host, port, user, password, tls } = address;
  const times = { connectTimeout: CONNECT_MS, reconnectStrategy: false as const };
  const client = createClient({
    ...(user !== "" && { username: user }),
    ...(password !== "" && { password }),
    // The second version of the protocol: every server and every stand-in of one speaks it.
    RESP: 2,
    disableClientInfo: true,
    disableOfflineQueue: true,
    maintNotifications: "disabled",
    commandsQueueMaxLength: MOST_WAITING,
    socket: tls ? { host, port, ...times, tls } : { host, port, ...times, signal },
  });
  client.on("error", (thrown) => lose(busFailure("redis", thrown, isDenied)));
  client.on("end", () => lose(busFailure("redis", null, isDenied)));
  const destroy = () => client.destroy();
  signal.addEventListener("abort", destroy, { once: true });
  try {
    await client.connect();
    if (hear !== null) await client.subscribe(channel, hear);
  } catch (thrown) {
    destroy();
    throw busFailure("redis", thrown, isDenied);
  } finally {
    signal.removeEventListener("abort", destroy);
  }
  return {
    lost,
    probe: () => client.ping(),
    async publish(payload) {
      try {
        await client.publish(channel, payload);
      } catch (thrown) {
        throw busFailure("redis", thrown, isDenied);
      }
    },
    async close() {
      destroy();
    },
  };
}

/** A wrong password, a missing one, one that the server does not want, and a channel that the user may not have. */
const isDenied = ({ message }: Error) =>
  /^(WRONGPASS|NOAUTH|NOPERM|ERR (AUTH|invalid password))\b/.test(message);
