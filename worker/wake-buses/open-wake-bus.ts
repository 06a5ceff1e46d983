// Picks the bus and keeps it. The only file that knows which there are.
import type { Activity } from "../activity/activity.ts";
import type { Config } from "../config/config.ts";
import type { OpenSqlLine } from "../document/sql-line.ts";
import { adviseOperator } from "../failure/describe.ts";
import { Failure } from "../failure/failure.ts";
import { sleep } from "../timing/durations.ts";
import { type HintGate, openHintGate } from "./hint-gate.ts";
import { stayConnected, type Times } from "./stay-connected.ts";
import type { ConnectBus, WakeBus, WakeBusName, WakeBusState } from "./wake-bus.ts";

export type WakeBusConfig = Pick<Config, "wakeBus" | "listenChannel" | "redisUrl" | "natsUrl">;

export type WakeBusOptions = WakeBusConfig & {
  readonly activity: Activity;
  /** Opens sessions on the database; null where it has none to offer (embedded, over the Supabase API). */
  readonly openLine: OpenSqlLine | null;
  /** Other than usual, for tests. */
  readonly times?: Times;
};

// A server at hand has answered by then; for any other nobody waits.
const START_MS = 1000;
// As many bytes of a name as Postgres keeps: a longer one would be cut by LISTEN and refused by NOTIFY.
const LONGEST_CHANNEL = 63;

/**
 * Calls `onHint`, which must return at once and not throw, whenever a look at the queue may be worth while: for
 * hints, and when a connection stands again after a time in which they were lost. Resolves within about a second,
 * with or without its server. Throws `config.invalid` for a bus that was asked for and has no address.
 */
export async function openWakeBus(options: WakeBusOptions, onHint: () => void): Promise<WakeBus> {
  const name = nameOf(options);
  if (name === "silent") return SILENT;
  const gate = openHintGate(onHint);
  const connect = await connectorOf(name, options, gate);
  const keeping = keepBus(name, connect, gate, options);
  const waited = new AbortController();
  await Promise.race([keeping.settled, sleep(START_MS, waited.signal)]);
  waited.abort();
  return keeping.bus;
}

/** Which bus these settings mean; `auto` is the first that has an address. Throws `config.invalid`. */
function nameOf(options: WakeBusOptions): WakeBusName {
  const has: Readonly<Record<WakeBusName, boolean>> = {
    redis: options.redisUrl !== null,
    nats: options.natsUrl !== null,
    postgres: options.openLine !== null,
    silent: true,
  };
  const chosen =
    options.wakeBus === "auto"
      ? (["redis", "nats", "postgres", "silent"] as const).find((name) => has[name])
      : options.wakeBus;
  if (chosen === undefined || !has[chosen]) {
    const needs = chosen === "redis" ? "REDIS_URL" : chosen === "nats" ? "NATS_URL" : "DATABASE_URL";
    throw new Failure("config.invalid", { says: `RAG_WAKE_BUS=${chosen} needs ${needs}.` });
  }
  if (chosen === "postgres" && Buffer.byteLength(options.listenChannel) > LONGEST_CHANNEL)
    throw new Failure("config.invalid", {
      says: `RAG_LISTEN_CHANNEL is longer than ${LONGEST_CHANNEL} bytes.`,
    });
  return chosen;
}

// Imported only here: a worker loads the client of the one bus that it uses.
async function connectorOf(name: WakeBusName, options: WakeBusOptions, gate: HintGate): Promise<ConnectBus> {
  const { redisUrl, natsUrl, openLine, listenChannel: channel } = options;
  const { hear } = gate;
  if (name === "redis" && redisUrl !== null) {
    const { connectRedis } = await import("./redis.ts");
    return (signal) => connectRedis({ url: redisUrl, hear }, signal);
  }
  if (name === "nats" && natsUrl !== null) {
    const { connectNats } = await import("./nats.ts");
    return (signal) => connectNats({ url: natsUrl, hear }, signal);
  }
  if (name === "postgres" && openLine !== null) {
    const { connectListen } = await import("./postgres-listen.ts");
    return (signal) => connectListen({ openLine, channel, hear }, signal);
  }
  throw new Failure("config.invalid");
}

function keepBus(name: WakeBusName, connect: ConnectBus, gate: HintGate, options: WakeBusOptions) {
  const { activity } = options;
  let state: WakeBusState = "unreachable";
  let trouble: Failure | null = null;
  let lostAt = 0;
  let connections = 0;
  const connected = () => {
    connections += 1;
    const isBack = trouble !== null;
    state = "live";
    trouble = null;
    if (isBack) activity.say("bus.regained", { bus: name, afterMs: Math.round(performance.now() - lostAt) });
    else activity.say("bus.connected", { bus: name });
    gate.wake(); // What was sent before is lost.
  };
  const failed = (failure: Failure) => {
    state = failure.code === "wake.deaf" ? "silent" : "unreachable";
    if (trouble === null) lostAt = performance.now();
    const isNews = trouble?.code !== failure.code;
    trouble = failure;
    if (!isNews) return;
    const said = { bus: name, code: failure.code, advice: adviseOperator(failure) };
    activity.say(state === "silent" ? "bus.deaf" : "bus.lost", said);
  };
  const link = stayConnected(connect, { connected, failed }, options.times);
  const bus: WakeBus = {
    name,
    state: () => state,
    advice: () => trouble && adviseOperator(trouble),
    counters: () => ({ ...gate.counters(), reconnects: Math.max(0, connections - 1) }),
    listens: () => (name === "postgres" && state === "live" ? options.listenChannel : null),
    async close() {
      gate.close();
      await link.close();
      state = "silent";
    },
  };
  return { bus, settled: link.settled };
}

const SILENT: WakeBus = {
  name: "silent",
  state: () => "silent",
  advice: () => null,
  counters: () => ({ received: 0, malformed: 0, coalesced: 0, reconnects: 0 }),
  listens: () => null,
  close: async () => {},
};
