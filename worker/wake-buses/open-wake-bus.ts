// Keeps the bus that the settings mean, and tells what becomes of it.
import type { Activity } from "../activity/activity.ts";
import type { OpenSqlLine } from "../document/sql-line.ts";
import { adviseOperator } from "../failure/describe.ts";
import type { Failure } from "../failure/failure.ts";
import { sleep } from "../timing/durations.ts";
import { brokerConnector, chooseBus, type WakeBusConfig } from "./choose-bus.ts";
import { type HintGate, openHintGate } from "./hint-gate.ts";
import { stayConnected, type Times } from "./stay-connected.ts";
import type { ConnectBus, WakeBus, WakeBusName, WakeBusState } from "./wake-bus.ts";

export type WakeBusOptions = WakeBusConfig & {
  readonly activity: Activity;
  /** Opens sessions on the database; null where it has none to offer (embedded, over the Supabase API). */
  readonly openLine: OpenSqlLine | null;
  /** Other than usual, for tests. */
  readonly times?: Times;
};

// A server at hand has answered by then; for any other nobody waits.
const START_MS = 1000;

/**
 * Calls `onHint`, which must return at once and not throw, whenever a look at the queue may be worth while: for
 * hints, and when a connection stands again after a time in which they were lost. Resolves within about a second,
 * with or without its server. Throws `config.invalid` for a bus that was asked for and has no address.
 */
export async function openWakeBus(options: WakeBusOptions, onHint: () => void): Promise<WakeBus> {
  const name = chooseBus(options, options.openLine !== null);
  const gate = openHintGate(onHint);
  const connect = await connectorOf(name, options, gate);
  if (connect === null) return SILENT;
  const keeping = keepBus(name, connect, gate, options);
  const waited = new AbortController();
  await Promise.race([keeping.settled, sleep(START_MS, waited.signal)]);
  waited.abort();
  return keeping.bus;
}

async function connectorOf(
  name: WakeBusName,
  options: WakeBusOptions,
  { hear }: HintGate,
): Promise<ConnectBus | null> {
  const { openLine, listenChannel: channel } = options;
  if (name !== "postgres" || openLine === null) return brokerConnector(name, options, hear);
  const { connectListen } = await import("./postgres-listen.ts");
  return (signal) => connectListen({ openLine, channel, hear }, signal);
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
