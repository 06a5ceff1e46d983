// The owner's side of the local socket: lets other processes of the same user use the embedded database.
import { randomBytes, timingSafeEqual } from "node:crypto";
import { chmod, mkdtemp, readdir, rm } from "node:fs/promises";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { failureFromUnknown } from "../failure/from-unknown.ts";
import type { Whereabouts } from "./embedded-lock.ts";
import { failureToWire, Hello, type Reply, Request, readLines, sendLine } from "./embedded-wire.ts";

/** Answers one request. The signal fires when the client is gone. */
export type Answer = (request: Request, client: object, signal: AbortSignal) => Promise<unknown>;

export type OwnerSocket = {
  readonly whereabouts: Whereabouts;
  /** Takes no further connections and requests; those under way are still answered. */
  stopTaking(): void;
  close(): Promise<void>;
};

// The kernel's limit for a socket's path is 104 bytes on macOS and 108 on Linux.
const LONGEST_PATH = 100;
const FLUSH_MS = 1000;

export async function openOwnerSocket(folder: string, answer: Answer): Promise<OwnerSocket> {
  const word = randomBytes(16).toString("hex");
  const place = await placeFor(folder, word);
  const sockets = new Set<Socket>();
  let taking = true;
  const server = createServer((socket) => {
    if (!taking) return socket.destroy();
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    return serveClient(socket, word, () => taking, answer);
  });
  await listen(server, place.socket);
  if (process.platform !== "win32") await chmod(place.socket, 0o600);
  server.unref(); // Waiting for clients is no reason to live.
  return {
    whereabouts: { socket: place.socket, word },
    stopTaking() {
      taking = false;
    },
    async close() {
      taking = false;
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of sockets) socket.end();
      const cut = setTimeout(() => {
        for (const socket of sockets) socket.destroy();
      }, FLUSH_MS);
      await closed;
      clearTimeout(cut);
      await place.remove();
    },
  };
}

function serveClient(socket: Socket, word: string, taking: () => boolean, answer: Answer): void {
  const gone = new AbortController();
  let greeted = false;
  socket.on("error", () => {}); // A client that dies is its own business; "close" follows.
  socket.once("close", () => gone.abort());
  readLines(socket, (message) => {
    if (!greeted) {
      if (!equal(Hello.parse(message).word, word)) throw new Error("wrong word");
      greeted = true;
      sendLine(socket, { id: 0, answer: null } satisfies Reply);
      return;
    }
    const request = Request.parse(message);
    // Not taken: the client sends it again to the next owner when this connection ends.
    if (!taking()) return;
    answer(request, socket, gone.signal).then(
      (value) => sendLine(socket, { id: request.id, answer: value ?? null } satisfies Reply),
      (thrown: unknown) => {
        if (!gone.signal.aborted)
          sendLine(socket, { id: request.id, failure: failureToWire(failureFromUnknown(thrown)) });
      },
    );
  });
}

function equal(given: string, expected: string): boolean {
  return given.length === expected.length && timingSafeEqual(Buffer.from(given), Buffer.from(expected));
}

type Place = { readonly socket: string; remove(): Promise<void> };

/** Every owner has a path of its own, so that a dead one's file never stands in the way. */
async function placeFor(folder: string, word: string): Promise<Place> {
  const name = `socket-${word.slice(0, 8)}`;
  if (process.platform === "win32") return { socket: `\\\\.\\pipe\\rag-${word}`, remove: async () => {} };
  for (const old of await readdir(folder)) {
    if (old.startsWith("socket-")) await rm(join(folder, old), { force: true });
  }
  const near = join(folder, name);
  if (Buffer.byteLength(near) <= LONGEST_PATH)
    return { socket: near, remove: () => rm(near, { force: true }) };
  const far = join(await mkdtemp(join(tmpdir(), "rag-")), name); // mkdtemp makes it 0700.
  return { socket: far, remove: () => rm(dirname(far), { recursive: true, force: true }) };
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, () => {
      server.removeListener("error", reject);
      server.on("error", () => {}); // A connection that could not be accepted; the client tries again.
      resolve();
    });
  });
}
