// Events out on Redis, for gateways and for applications that listen themselves. Redis away: what waits is bounded,
// jobs go on, and the newest of it is sent when it is back.
import { failureFromUnknown } from "../failure/from-unknown.ts";
import { within } from "../timing/durations.ts";
import type { ServerAddress } from "../wake-buses/server-address.ts";
import { stayConnected, type Times } from "../wake-buses/stay-connected.ts";
import type { Broker } from "../wake-buses/wake-bus.ts";
import { REALTIME_CHANNEL } from "./event.ts";
import type { LinkNews } from "./link-news.ts";
import { openOutbox } from "./outbox.ts";
import type { Publisher } from "./publisher.ts";

// Below the number of commands that the connection lets wait.
const AT_ONCE = 50;
const FLUSH_MS = 1000;

export function publishToRedis(address: ServerAddress, news: LinkNews, times?: Times): Publisher {
  let broker: Broker | null = null;
  let sending: Promise<void> | null = null;
  const outbox = openOutbox(() => send());

  const send = () => {
    sending ??= sendAll().finally(() => {
      sending = null;
    });
  };
  const sendAll = async () => {
    // A turn of the loop later, so that what is said together travels together.
    await Promise.resolve();
    while (broker !== null && outbox.size() > 0) {
      const connection: Broker = broker;
      const events = outbox.take(AT_ONCE);
      try {
        await Promise.all(
          events.map(({ user_id, type, payload }) =>
            connection.publish(JSON.stringify({ user_id, type, payload })),
          ),
        );
      } catch (thrown) {
        // Whether they arrived is not known: told again they only say the same.
        outbox.putBack(events);
        if (broker === connection) broker = null;
        news.failed(failureFromUnknown(thrown));
      }
    }
  };
  const link = stayConnected(
    async (signal) => {
      // Imported only here: most workers publish elsewhere, and the client is hundreds of files.
      const { connectRedis } = await import("../wake-buses/redis.ts");
      return await connectRedis({ address, hear: null, channel: REALTIME_CHANNEL }, signal);
    },
    {
      connected(connection) {
        broker = connection;
        news.connected();
        send();
      },
      failed(failure) {
        broker = null;
        news.failed(failure);
      },
    },
    times,
  );
  return {
    publish: outbox.put,
    dropped: outbox.dropped,
    async close() {
      if (sending !== null) await within(FLUSH_MS, sending);
      await link.close();
    },
  };
}
