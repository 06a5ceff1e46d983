// Hints over Redis pub/sub. One client for one connection: it subscribes or it publishes, and does not connect
// again by itself.
import { createClient } from "@redis/client";
import { type BusConnection, busFailure, type Hear, HINT_CHANNEL } from "./wake-bus.ts";

export type RedisOptions = {
  /** `redis://user:password@host:port`, or `rediss://` for TLS. */
  readonly url: string;
  /** null: only to publish. */
  readonly hear: Hear | null;
};

const CONNECT_MS = 5000;
// What a server that stands still may leave waiting here; a hint more would say nothing new.
const MOST_WAITING = 100;

/** Throws `wake.unreachable` or `wake.denied`. */
export async function connectRedis(
  options: RedisOptions,
  signal: AbortSignal,
): Promise<BusConnection & { publish(payload: string): Promise<unknown> }> {
  const { promise: lost, resolve: lose } = Promise.withResolvers<Awaited<BusConnection["lost"]>>();
  const client = createClient({
    url: options.url,
    // The second version of the protocol: every server and every stand-in of one speaks it.
    RESP: 2,
    disableClientInfo: true,
    disableOfflineQueue: true,
    maintNotifications: "disabled",
    commandsQueueMaxLength: MOST_WAITING,
    socket: { connectTimeout: CONNECT_MS, reconnectStrategy: false, signal },
  });
  client.on("error", (thrown) => lose(busFailure("redis", thrown, isDenied)));
  client.on("end", () => lose(busFailure("redis", null, isDenied)));
  const destroy = () => client.destroy();
  signal.addEventListener("abort", destroy, { once: true });
  try {
    await client.connect();
    if (options.hear !== null) await client.subscribe(HINT_CHANNEL, options.hear);
  } catch (thrown) {
    destroy();
    throw busFailure("redis", thrown, isDenied);
  } finally {
    signal.removeEventListener("abort", destroy);
  }
  return {
    lost,
    probe: () => client.ping(),
    publish: (payload) => client.publish(HINT_CHANNEL, payload),
    async close() {
      destroy();
    },
  };
}

/** A wrong password, a missing one, one that the server does not want, and a channel that the user may not have. */
const isDenied = ({ message }: Error) =>
  /^(WRONGPASS|NOAUTH|NOPERM|ERR (AUTH|invalid password))\b/.test(message);
