// The ways in that a worker keeps open by itself: messages over NATS, and the watched document root. Nothing here
// keeps a worker from starting or a job from being done.
import type { Activity } from "../activity/activity.ts";
import type { Config } from "../config/config.ts";
import type { SqlCall } from "../document/sql-call.ts";
import { Failure } from "../failure/failure.ts";
import { type HintSender, openHintSender } from "../wake-buses/hint-sender.ts";

export type WaysIn = { close(): Promise<void> };

export type WaysInOptions = {
  readonly config: Config;
  readonly call: SqlCall;
  readonly activity: Activity;
  readonly workerId: string;
  /** Wakes this worker. */
  readonly wake: () => void;
};

/** Throws `config.invalid`. */
export async function startWaysIn(options: WaysInOptions): Promise<WaysIn> {
  const { config, call, activity, workerId } = options;
  const root = config.watchRoot ? config.documentRoot : null;
  if (config.watchRoot && root === null)
    throw new Failure("config.invalid", { says: "RAG_WATCH_ROOT needs RAG_DOCUMENT_ROOT." });
  const messages = config.natsMessages !== "off" && config.natsUrl !== null ? config.natsUrl : null;
  if (root === null && messages === null) return { close: async () => {} };
  const hints = await openHintSender(config, () => {});
  const wake = wakeBoth(hints, options.wake);
  const ways: WaysIn[] = [];
  if (messages !== null) {
    const { openNatsMessages } = await import("./nats-messages.ts");
    const streams = config.natsMessages === "auto";
    ways.push(openNatsMessages({ url: messages, call, activity, wake, streams }));
  }
  if (root !== null) {
    const { watchRoot } = await import("./files/watch-root.ts");
    ways.push(watchRoot({ call, activity, config, root, holder: workerId, wake }));
  }
  return {
    async close() {
      await Promise.all(ways.map((way) => way.close()));
      await hints.close();
    },
  };
}

/** This worker first, which is here; then the others. */
const wakeBoth = (hints: HintSender, own: () => void) => (jobId: string) => {
  own();
  hints.send({ jobId, documentId: null });
};
