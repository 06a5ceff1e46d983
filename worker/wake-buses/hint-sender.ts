// The publishing side of Redis and NATS, for whoever has put jobs into the queue and committed. On Postgres the
// insert trigger notifies, so there is nothing to send.
// Of many hints only the last has to arrive: it comes after every commit that the others told of.
import { Failure } from "../failure/failure.ts";
import { failureFromUnknown } from "../failure/from-unknown.ts";
import { within } from "../timing/durations.ts";
import { brokerConnector, chooseBus, type WakeBusConfig } from "./choose-bus.ts";
import { type StayingConnected, stayConnected, type Times } from "./stay-connected.ts";
import type { Broker, ConnectBus } from "./wake-bus.ts";

export type Hint = { readonly jobId: string | null; readonly documentId: string | null };

export type HintSender = {
  /** Call it after the commit. Returns at once and never throws; connects with the first hint. */
  send(hint: Hint): void;
  /** Waits until the last hint is out or cannot be sent, two seconds at most. Safe to call twice. */
  close(): Promise<void>;
};

const FLUSH_MS = 2000;

/**
 * `unsent` is told once, with why, when hints cannot be sent: the jobs are found all the same, at the workers'
 * next look. Throws `config.invalid` where the worker would.
 */
export async function openHintSender(
  config: WakeBusConfig,
  unsent: (failure: Failure) => void,
  times?: Times,
): Promise<HintSender> {
  const connect = await brokerConnector(chooseBus(config, true), config, null);
  return connect === null ? NOBODY_LISTENS : sendOver(connect, unsent, times);
}

const NOBODY_LISTENS: HintSender = { send: () => {}, close: async () => {} };

function sendOver(
  connect: ConnectBus<Broker>,
  unsent: (failure: Failure) => void,
  times: Times | undefined,
): HintSender {
  let link: StayingConnected | null = null;
  let broker: Broker | null = null;
  let waiting: Hint | null = null;
  let isSending = false;
  let isDown = false;
  let isTold = false;
  // Resolved while nothing is under way, or nothing can be.
  let quiet = Promise.withResolvers<void>();

  const failed = (failure: Failure) => {
    broker = null;
    isDown = true;
    if (!isTold && waiting !== null) unsent(failure);
    isTold ||= waiting !== null;
    quiet.resolve();
  };
  const sendWaiting = async () => {
    if (isSending) return;
    isSending = true;
    while (waiting !== null && broker !== null) {
      const hint: Hint = waiting;
      waiting = null;
      try {
        await broker.publish(JSON.stringify({ document_id: hint.documentId, job_id: hint.jobId }));
      } catch (thrown) {
        waiting ??= hint;
        failed(failureFromUnknown(thrown));
      }
    }
    isSending = false;
    if (waiting === null) quiet.resolve();
  };
  const connected = (connection: Broker) => {
    broker = connection;
    isDown = false;
    void sendWaiting();
  };
  return {
    send(hint) {
      if (waiting === null && !isSending && !isDown) quiet = Promise.withResolvers();
      waiting = hint;
      link ??= stayConnected(connect, { connected, failed }, times);
      void sendWaiting();
    },
    async close() {
      if (link === null) return;
      await within(FLUSH_MS, quiet.promise);
      if (waiting !== null) failed(new Failure("wake.unreachable"));
      await link.close();
    },
  };
}
