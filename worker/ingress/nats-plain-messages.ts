// Takes messages of one subject without a stream. NATS forgets such a message when it is delivered, so it is held
// here until its job is committed; whoever sent it as a request is answered then, and not before.
import type { Msg, NatsConnection, Subscription } from "@nats-io/transport-node";
import pLimit from "p-limit";
import { describeFailure } from "../failure/describe.ts";
import { backoffMs } from "../timing/backoff.ts";
import { sleep } from "../timing/durations.ts";
import type { Group } from "./message.ts";
import type { Delivery, Taken } from "./take-message.ts";

export type PlainMessages = {
  /** Listens no more and waits for what is held; answers how many had to be given up. */
  close(): Promise<number>;
};

const AT_ONCE = 4;
// With so many held it listens no more, so that NATS gives the next ones to other members of the group, or tells
// the sender of a request that nobody is there.
const MOST_HELD = 256;
const LISTENS_AGAIN_AT = MOST_HELD / 2;
const AGAIN = { firstMs: 500, mostMs: 15_000 };
// Whoever asks has given up by then, and sends it again.
const ANSWER_WITHIN_MS = 10_000;

export function takePlainMessages(
  connection: NatsConnection,
  { group, subject }: { readonly group: Group; readonly subject: string },
  take: (delivery: Delivery) => Promise<Taken>,
): PlainMessages {
  const limit = pLimit(AT_ONCE);
  const closing = new AbortController();
  const held = new Set<Promise<void>>();
  let givenUp = 0;
  let subscription: Subscription | null = null;

  const hold = (message: Msg) => {
    const work = limit(() => untilDone(message)).finally(() => {
      held.delete(work);
      if (subscription === null && held.size <= LISTENS_AGAIN_AT && !closing.signal.aborted) listen();
    });
    held.add(work);
    if (held.size < MOST_HELD) return;
    subscription?.unsubscribe();
    subscription = null;
  };
  const untilDone = async (message: Msg) => {
    const since = performance.now();
    for (let times = 1; ; times += 1) {
      const taken = await take({ way: "nats", group, subject: message.subject, bytes: message.data, times });
      const late = message.reply !== undefined && performance.now() - since > ANSWER_WITHIN_MS;
      if (taken.state !== "retry" || late || closing.signal.aborted) {
        if (taken.state === "retry") givenUp += 1;
        answer(message, taken);
        return;
      }
      await sleep(backoffMs(times, AGAIN), closing.signal);
    }
  };
  const listen = () => {
    if (connection.isClosed()) return;
    subscription = connection.subscribe(subject, {
      queue: group,
      callback: (error, message) => {
        if (error === null) hold(message);
      },
    });
  };
  listen();
  return {
    async close() {
      closing.abort();
      subscription?.unsubscribe();
      await Promise.all(held);
      return givenUp;
    },
  };
}

function answer(message: Msg, taken: Taken): void {
  if (message.reply === undefined || message.reply === "") return;
  const says =
    taken.state === "accepted"
      ? { state: "accepted", job_id: taken.jobId, document_id: taken.documentId }
      : taken.state === "buried"
        ? { error: { code: taken.letter.code, dead_letter: taken.letter.id } }
        : { error: { code: taken.failure.code, message: describeFailure(taken.failure) } };
  try {
    message.respond(JSON.stringify(says));
  } catch {
    // The connection is gone, and with it whoever asked.
  }
}
