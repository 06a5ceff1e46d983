// Messages over NATS: JetStream where there is one, else plain subjects in the same queue groups. Holds one
// connection that comes and goes; what was not acknowledged when it went is delivered again.
import type { NatsConnection } from "@nats-io/transport-node";
import type { Activity } from "../activity/activity.ts";
import type { SqlCall } from "../document/sql-call.ts";
import { adviseOperator } from "../failure/describe.ts";
import type { Failure } from "../failure/failure.ts";
import { within } from "../timing/durations.ts";
import { natsFailure, openNats } from "../wake-buses/nats.ts";
import { readServerAddress, type ServerAddress } from "../wake-buses/server-address.ts";
import { stayConnected, type Times } from "../wake-buses/stay-connected.ts";
import type { BusConnection } from "../wake-buses/wake-bus.ts";
import { type PlainMessages, takePlainMessages } from "./nats-plain-messages.ts";
import { type StreamMessages, takeStreamMessages } from "./nats-stream-messages.ts";
import { openStreams } from "./nats-streams.ts";
import { type Delivery, type Letter, type Taken, takeMessage } from "./take-message.ts";

export type NatsMessagesOptions = {
  readonly url: string;
  readonly call: SqlCall;
  readonly activity: Activity;
  /** false: plain subjects, also where there is a JetStream. */
  readonly streams: boolean;
  /** Wakes the workers; called after each commit that made a job. */
  readonly wake: (jobId: string) => void;
  /** Other than usual, for tests. */
  readonly times?: Times;
  /** How long a stream waits for the acknowledgement of what it has sent before it sends it again. */
  readonly ackWaitMs?: number;
};

export type NatsMessages = {
  /** Resolves with the first connection or the first failure. */
  readonly settled: Promise<void>;
  close(): Promise<void>;
};

/** Where it is said that a message was buried: `{id, subject, message_id, code}`. */
export const ADVISORY_SUBJECT = "rag.advisory.dead_letter";
const CLOSE_MS = 5000;
// Longer than nearly every enqueue; one that comes twice all the same is one job. Whoever dies, or stops while messages
// are still on the wire to it, leaves them to the others for so long.
const ACK_WAIT_MS = 30_000;

/** Throws `config.invalid` for an address that cannot be read. Nothing later is thrown: it is told and tried again. */
export function openNatsMessages(options: NatsMessagesOptions): NatsMessages {
  const { activity } = options;
  const address = readServerAddress("NATS_URL", options.url);
  let trouble: Failure | null = null;
  let lostAt = 0;
  const link = stayConnected(
    (signal) => connectOnce(address, options, signal),
    {
      connected: ({ kept, plain }) => {
        if (trouble !== null)
          activity.say("ingress.regained", { way: "nats", afterMs: Math.round(performance.now() - lostAt) });
        activity.say("ingress.connected", { way: "nats", kept, plain });
        trouble = null;
      },
      failed: (failure) => {
        if (trouble === null) lostAt = performance.now();
        if (trouble?.code !== failure.code)
          activity.say("ingress.lost", { way: "nats", code: failure.code, advice: adviseOperator(failure) });
        trouble = failure;
      },
    },
    options.times,
  );
  return link;
}

type Taking = BusConnection & {
  /** Consumers of streams, and plain subscriptions. */
  readonly kept: number;
  readonly plain: number;
};

function connectOnce(
  address: ServerAddress,
  options: NatsMessagesOptions,
  signal: AbortSignal,
): Promise<Taking> {
  return openNats(address, signal, async (connection, destroy) => {
    const taking = await takeAll(connection, options);
    // Also when a consumer ends while the connection stands: then all is begun anew.
    const lost = Promise.race([connection.closed(), ...taking.streams.map(({ ended }) => ended)]).then(
      natsFailure,
    );
    return {
      kept: taking.streams.length,
      plain: taking.plain.length,
      lost,
      probe: () => connection.flush(),
      async close() {
        await within(CLOSE_MS, closeAll(taking, options.activity));
        await within(CLOSE_MS, connection.isClosed() ? Promise.resolve() : connection.drain());
        destroy();
        await connection.close();
      },
    };
  });
}

type All = { readonly streams: readonly StreamMessages[]; readonly plain: readonly PlainMessages[] };

async function takeAll(connection: NatsConnection, options: NatsMessagesOptions): Promise<All> {
  const take = async (delivery: Delivery): Promise<Taken> => {
    const taken = await takeMessage(options, delivery);
    if (taken.state === "buried") advise(connection, taken.letter);
    if (taken.state === "accepted" && taken.jobId !== null) options.wake(taken.jobId);
    return taken;
  };
  const { consumers, unkept } = await openStreams(
    connection,
    options.streams ? { ackWaitMs: options.ackWaitMs ?? ACK_WAIT_MS } : null,
  );
  const streams: StreamMessages[] = [];
  for (const { group, consumer } of consumers) streams.push(await takeStreamMessages(consumer, group, take));
  const plain = unkept.map((listening) => takePlainMessages(connection, listening, take));
  // Whether we may listen is said before the answer to this.
  await connection.flush();
  return { streams, plain };
}

function advise(connection: NatsConnection, { id, subject, messageId, code }: Letter): void {
  try {
    connection.publish(ADVISORY_SUBJECT, JSON.stringify({ id, subject, message_id: messageId, code }));
  } catch {
    // The letter lies in rag_dead_letters, which is what counts.
  }
}

async function closeAll({ streams, plain }: All, activity: Activity): Promise<void> {
  const [givenUp] = await Promise.all([
    Promise.all(plain.map((one) => one.close())),
    Promise.all(streams.map((one) => one.close())),
  ]);
  const messages = givenUp.reduce((sum, one) => sum + one, 0);
  if (messages > 0) activity.say("message.lost", { way: "nats", messages });
}
