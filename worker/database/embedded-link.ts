// A client's side of the local socket: asks the process that owns the embedded database.
import { connect, type Socket } from "node:net";
import { Failure } from "../failure/failure.ts";
import type { Whereabouts } from "./embedded-lock.ts";
import { failureFromWire, Reply, type Request, readLines, sendLine } from "./embedded-wire.ts";

/** The owner went away before it answered. The call may have happened; it is idempotent: send it again. */
export class LinkCut extends Error {
  override readonly name = "LinkCut";
}

type WithoutId<Message> = Message extends unknown ? Omit<Message, "id"> : never;

export type OwnerLink = {
  ask(request: WithoutId<Request>, signal?: AbortSignal): Promise<unknown>;
  close(): Promise<void>;
};

/** A stopped owner and one that runs a long statement are silent alike; who has greeted gets this much longer. */
const WORKING = 4;

type Asked = { readonly resolve: (answer: unknown) => void; readonly reject: (reason: unknown) => void };

/**
 * null when nobody listens there (any more). Throws `database.locked` when somebody does and says nothing
 * for `patienceMs`.
 */
export async function linkToOwner(whereabouts: Whereabouts, patienceMs: number): Promise<OwnerLink | null> {
  const socket = connect(whereabouts.socket);
  const asked = new Map<number, Asked>();
  let lastId = 0;
  const greeting = new Promise<boolean>((resolve, reject) => {
    asked.set(0, { resolve: () => resolve(true), reject });
    socket.once("close", () => resolve(false));
  });
  readLines(socket, (message) => {
    const reply = Reply.parse(message);
    const waiting = asked.get(reply.id);
    asked.delete(reply.id);
    if (asked.size === 0) socket.unref(); // A connection that nobody waits for is no reason to live.
    if ("failure" in reply) waiting?.reject(failureFromWire(reply.failure));
    else waiting?.resolve(reply.answer);
  });
  const endAll = (reason: unknown) => {
    for (const { reject } of asked.values()) reject(reason);
    asked.clear();
  };
  socket.on("error", () => {}); // "close" follows.
  socket.once("close", () => endAll(new LinkCut()));
  const giveUp = () => {
    endAll(ownerIsSilent(patienceMs));
    socket.destroy();
  };
  const watch = silenceWatch(socket, () => asked.size > 0, giveUp);
  sendLine(socket, { word: whereabouts.word });
  watch.atMost(patienceMs);
  const greeted = await greeting.catch((thrown: unknown) => {
    if (thrown instanceof LinkCut) return false;
    throw thrown;
  });
  if (!greeted) return null;
  watch.atMost(patienceMs * WORKING);
  return {
    ask(request, signal) {
      return new Promise((resolve, reject) => {
        if (socket.destroyed) return reject(new LinkCut());
        if (signal?.aborted) return reject(signal.reason);
        lastId += 1;
        const id = lastId;
        const onAbort = () => {
          asked.delete(id);
          reject(signal?.reason);
        };
        signal?.addEventListener("abort", onAbort, { once: true });
        asked.set(id, {
          resolve: (answer) => {
            signal?.removeEventListener("abort", onAbort);
            resolve(answer);
          },
          reject: (reason) => {
            signal?.removeEventListener("abort", onAbort);
            reject(reason);
          },
        });
        socket.ref();
        sendLine(socket, { id, ...request });
      });
    },
    close() {
      return new Promise((resolve) => {
        if (socket.closed) return resolve();
        // Whoever closes waits for it: the process must not end in the middle.
        socket.ref();
        socket.once("close", () => resolve());
        socket.end();
        setTimeout(() => socket.destroy(), 1000).unref();
      });
    },
  };
}

/** Calls `tooLong` when answers are owed and nothing at all has come for the time set last. */
function silenceWatch(
  socket: Socket,
  owed: () => boolean,
  tooLong: () => void,
): { atMost(ms: number): void } {
  let since = Date.now();
  let timer: NodeJS.Timeout | undefined;
  socket.on("data", () => {
    since = Date.now();
  });
  socket.once("close", () => clearInterval(timer));
  return {
    atMost(ms) {
      clearInterval(timer);
      timer = setInterval(
        () => {
          if (!owed()) since = Date.now();
          else if (Date.now() - since > ms) tooLong();
        },
        Math.max(10, ms / 10),
      );
      timer.unref();
    },
  };
}

const ownerIsSilent = (patienceMs: number): Failure =>
  new Failure("database.locked", { facts: { silentSeconds: Math.round(patienceMs / 1000) } });
