// Which bus the settings mean. Workers and enqueuing commands ask here, so that they meet on the same one.
import type { Config } from "../config/config.ts";
import { Failure } from "../failure/failure.ts";
import { readServerAddress } from "./server-address.ts";
import type { Broker, ConnectBus, Hear, WakeBusName } from "./wake-bus.ts";

export type WakeBusConfig = Pick<Config, "wakeBus" | "listenChannel" | "redisUrl" | "natsUrl">;

// As many bytes of a name as Postgres keeps: a longer one would be cut by LISTEN and refused by NOTIFY.
const LONGEST_CHANNEL = 63;

/** `auto` is the first that has an address. Throws `config.invalid` for a bus that was asked for and has none. */
export function chooseBus(config: WakeBusConfig, canListen: boolean): WakeBusName {
  const { wakeBus, redisUrl, natsUrl, listenChannel } = config;
  const missing: Readonly<Record<WakeBusName, string | null>> = {
    redis: redisUrl === null ? "REDIS_URL" : null,
    nats: natsUrl === null ? "NATS_URL" : null,
    postgres: canListen ? null : "DATABASE_URL",
    silent: null,
  };
  const inOrder = ["redis", "nats", "postgres", "silent"] as const;
  const chosen = wakeBus === "auto" ? (inOrder.find((name) => missing[name] === null) ?? "silent") : wakeBus;
  if (missing[chosen] !== null)
    throw new Failure("config.invalid", { says: `RAG_WAKE_BUS=${chosen} needs ${missing[chosen]}.` });
  if (chosen === "postgres" && Buffer.byteLength(listenChannel) > LONGEST_CHANNEL)
    throw new Failure("config.invalid", {
      says: `RAG_LISTEN_CHANNEL is longer than ${LONGEST_CHANNEL} bytes.`,
    });
  return chosen;
}

/**
 * How to connect to Redis or NATS; null when the bus is neither. `hear` null: only to publish.
 * Throws `config.invalid` for an address that cannot be read.
 */
export async function brokerConnector(
  name: WakeBusName,
  { redisUrl, natsUrl }: WakeBusConfig,
  hear: Hear | null,
): Promise<ConnectBus<Broker> | null> {
  // Imported only here: a process loads the client of the one bus that it uses.
  if (name === "redis" && redisUrl !== null) {
    const address = readServerAddress("REDIS_URL", redisUrl);
    const { connectRedis } = await import("./redis.ts");
    return (signal) => connectRedis({ address, hear }, signal);
  }
  if (name === "nats" && natsUrl !== null) {
    const address = readServerAddress("NATS_URL", natsUrl);
    const { connectNats } = await import("./nats.ts");
    return (signal) => connectNats({ address, hear }, signal);
  }
  return null;
}
