// Takes the messages of one durable consumer: acknowledged when their job is committed, given back when it could not
// be, ended when they are buried. A replica that dies leaves its messages to the others.
import type { Consumer, ConsumerMessages, JsMsg } from "@nats-io/jetstream";
import pLimit from "p-limit";
import { backoffMs } from "../timing/backoff.ts";
import { sleep } from "../timing/durations.ts";
import type { Group } from "./message.ts";
import type { Delivery, Taken } from "./take-message.ts";

export type StreamMessages = {
  /** Resolves, never rejects, when no more messages come: closed, or the connection is gone. */
  readonly ended: Promise<void>;
  /** Takes nothing more and waits for what is under way; the rest goes to other replicas, at once where it has arrived. */
  close(): Promise<void>;
};

// Few: each holds a database connection for some milliseconds.
const AT_ONCE = 4;
const PREFETCHED = 32;
const AGAIN = { firstMs: 1000, mostMs: 30_000 };

export async function takeStreamMessages(
  consumer: Consumer,
  group: Group,
  take: (delivery: Delivery) => Promise<Taken>,
): Promise<StreamMessages> {
  const messages = await consumer.consume({ max_messages: PREFETCHED });
  const closing = new AbortController();
  const ended = run(messages, closing.signal, (message) => settle(message, group, take));
  return {
    ended,
    async close() {
      closing.abort();
      await messages.close();
      await ended;
    },
  };
}

async function run(
  messages: ConsumerMessages,
  closing: AbortSignal,
  settle: (message: JsMsg) => Promise<boolean>,
): Promise<void> {
  const limit = pLimit(AT_ONCE);
  const underWay = new Set<Promise<void>>();
  let refusedInARow = 0;
  try {
    for await (const message of messages) {
      if (closing.aborted) {
        message.nak();
        continue;
      }
      const work = limit(async () => {
        if (closing.aborted) return message.nak();
        refusedInARow = (await settle(message)) ? 0 : refusedInARow + 1;
        // The database is away: asking it again for each message that waits would help nobody.
        if (refusedInARow > 0) await sleep(backoffMs(refusedInARow, AGAIN), closing);
      }).finally(() => underWay.delete(work));
      underWay.add(work);
      if (underWay.size >= AT_ONCE * 2) await Promise.race(underWay);
    }
  } catch {
    // The connection is gone; what was not acknowledged is delivered again.
  }
  await Promise.all(underWay);
}

/** Whether the message is done with. */
async function settle(
  message: JsMsg,
  group: Group,
  take: (delivery: Delivery) => Promise<Taken>,
): Promise<boolean> {
  const { subject, data, info } = message;
  const taken = await take({ way: "jetstream", group, subject, bytes: data, times: info.deliveryCount });
  if (taken.state === "accepted") message.ack();
  else if (taken.state === "buried") message.term(taken.letter.code);
  else message.nak(backoffMs(info.deliveryCount, AGAIN));
  return taken.state !== "retry";
}
