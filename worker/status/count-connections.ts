// How many are connected over HTTP. Above `MOST_CONNECTIONS` a request is refused with a sentence, but for the open
// pages: a crowd must not make the platform that asks /live restart a healthy worker. Above `MOST_HELD` a connection is
// closed unread; one that is held costs some 10 kB and is ended after ten silent seconds.
import type { Server } from "node:http";
import type { Socket } from "node:net";

export const MOST_CONNECTIONS = 200;
export const MOST_HELD = 1_000;
const MOST_UPGRADED = 10_000;

/** Bounds the server's connections. `upgrades`: whether it serves WebSockets, which are counted by the gateway. */
export function countConnections(server: Server, upgrades: boolean): { isCrowded(): boolean } {
  const open = new Set<Socket>();
  server.maxConnections = MOST_HELD + (upgrades ? MOST_UPGRADED : 0);
  server.on("connection", (socket) => {
    open.add(socket);
    socket.once("close", () => open.delete(socket));
  });
  // No request of HTTP will come over it any more.
  if (upgrades) server.prependListener("upgrade", ({ socket }) => open.delete(socket));
  return { isCrowded: () => open.size > MOST_CONNECTIONS };
}
