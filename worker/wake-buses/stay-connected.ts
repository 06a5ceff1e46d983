// Holds one connection to a server that may come and go: asks it now and then whether it is there, and tries
// again and again when it is not. The client libraries' own ways of connecting again are switched off: each has
// another idea of when to give up, and none of them notices a network that went dead without a word.
import { Failure } from "../failure/failure.ts";
import { failureFromUnknown } from "../failure/from-unknown.ts";
import { sleep, within } from "../timing/durations.ts";
import { sleepInPieces } from "./sleep-in-pieces.ts";
import type { BusConnection, ConnectBus } from "./wake-bus.ts";

export type Times = {
  /** Longest time to make one connection. */
  readonly connectMs: number;
  /** Between two questions whether the server is still there, and how long its answer may take. */
  readonly probeMs: number;
  readonly answerMs: number;
  /** Until the next try, by what went wrong. */
  readonly againMs: (failure: Failure) => number;
};

export type Told<Connection> = {
  connected(connection: Connection): void;
  /** Once for each try that failed and each connection that went. */
  failed(failure: Failure): void;
};

export type StayingConnected = {
  /** Resolves with the first connection or the first failure. */
  readonly settled: Promise<void>;
  /** Ends the connection or the try under way. Safe to call twice. */
  close(): Promise<void>;
};

const CLOSE_MS = 1000;

/** Ten idle replicas together ask their database less often than once in two seconds. */
export const TIMES: Times = {
  connectMs: 10_000,
  probeMs: 30_000,
  answerMs: 5000,
  againMs: ({ code }) => {
    // Nobody repairs a password or moves a pooler within seconds, and some servers count the tries.
    if (code === "wake.denied" || code === "database.denied") return 30_000;
    return code === "wake.deaf" ? 300_000 : 5000;
  },
};

export function stayConnected<Connection extends BusConnection>(
  connect: ConnectBus<Connection>,
  told: Told<Connection>,
  times: Times = TIMES,
): StayingConnected {
  const closing = new AbortController();
  const { promise: settled, resolve: settle } = Promise.withResolvers<void>();

  const once = async (): Promise<Failure> => {
    try {
      const connection = await connectInTime(connect, times.connectMs, closing.signal);
      try {
        told.connected(connection);
        settle();
        return await untilLost(connection, times, closing.signal);
      } finally {
        await within(CLOSE_MS, connection.close());
      }
    } catch (thrown) {
      return failureFromUnknown(thrown);
    }
  };
  const run = async () => {
    while (!closing.signal.aborted) {
      const failure = await once();
      if (closing.signal.aborted) return;
      told.failed(failure);
      settle();
      await sleep(scattered(times.againMs(failure)), closing.signal);
    }
  };
  const ended = run().finally(settle);
  return {
    settled,
    async close() {
      closing.abort(new Failure("worker.stopping"));
      await ended;
    },
  };
}

/** A library that does not heed the signal is left behind, and its connection closed should it ever come. */
async function connectInTime<Connection extends BusConnection>(
  connect: ConnectBus<Connection>,
  limitMs: number,
  closing: AbortSignal,
): Promise<Connection> {
  const { promise: ended, reject } = Promise.withResolvers<never>();
  const stop = new AbortController();
  const end = (why: unknown) => {
    stop.abort(why);
    reject(why);
  };
  const timer = setTimeout(() => end(notInTime()), limitMs);
  const onClosing = () => end(closing.reason);
  closing.addEventListener("abort", onClosing, { once: true });
  const connecting = connect(stop.signal);
  try {
    return await Promise.race([connecting, ended]);
  } catch (thrown) {
    void connecting.then(
      (late) => late.close(),
      () => {},
    );
    throw thrown;
  } finally {
    clearTimeout(timer);
    closing.removeEventListener("abort", onClosing);
  }
}

async function untilLost(connection: BusConnection, times: Times, closing: AbortSignal): Promise<Failure> {
  const over = new AbortController();
  const end = (why: Failure) => over.abort(why);
  const onClosing = () => end(new Failure("worker.stopping"));
  closing.addEventListener("abort", onClosing, { once: true });
  const lost = connection.lost.then(end);
  while (!over.signal.aborted) {
    await sleep(scattered(times.probeMs), over.signal);
    if (over.signal.aborted || (await answers(connection, times.answerMs, over.signal))) continue;
    // When both happen, why it was lost says more than that it did not answer.
    await within(0, lost);
    end(notInTime());
  }
  closing.removeEventListener("abort", onClosing);
  return over.signal.reason;
}

async function answers(connection: BusConnection, limitMs: number, over: AbortSignal): Promise<boolean> {
  const answered = new AbortController();
  let isGood = false;
  void connection.probe().then(
    () => {
      isGood = true;
      answered.abort();
    },
    () => answered.abort(),
  );
  const either = AbortSignal.any([answered.signal, over]);
  await sleepInPieces(limitMs, either);
  return isGood;
}

/** Replicas that lost the same server must not come back in the same moment. */
const scattered = (ms: number) => ms * (0.8 + 0.4 * Math.random());

const notInTime = () =>
  new Failure("wake.unreachable", { says: "The wake-up server did not answer in time." });
