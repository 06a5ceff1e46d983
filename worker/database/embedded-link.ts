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
  // A stopped process still has an open socket. A busy one is silent too, so this is measured in tens of seconds.
  const watch = silenceWatch(socket, patienceMs, () => {
    endAll(ownerIsSilent(patienceMs));
    socket.destroy();
  });
  sendLine(socket, { word: whereabouts.word });
  watch(() => asked.size > 0);
  const greeted = await greeting.catch((thrown: unknown) => {
    if (thrown instanceof LinkCut) return false;
    throw thrown;
  });
  if (!greeted) return null;
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
        socket.once("close", () => resolve());
        socket.end();
        setTimeout(() => socket.destroy(), 1000).unref();
      });
    },
  };
}

/** Calls `tooLong` once when answers are owed and none has come for `patienceMs`. */
function silenceWatch(
  socket: Socket,
  patienceMs: number,
  tooLong: () => void,
): (owed: () => boolean) => void {
  let since = Date.now();
  socket.on("data", () => {
    since = Date.now();
  });
  return (owed) => {
    const timer = setInterval(
      () => {
        if (!owed()) since = Date.now();
        else if (Date.now() - since > patienceMs) tooLong();
      },
      Math.max(10, patienceMs / 10),
    );
    timer.unref();
    socket.once("close", () => clearInterval(timer));
  };
}

const ownerIsSilent = (patienceMs: number): Failure =>
  new Failure("database.locked", { facts: { silentSeconds: Math.round(patienceMs / 1000) } });
