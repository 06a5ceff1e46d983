// The sockets that a library opens and keeps to itself. The NATS client forgets the one of a try that the server
// never answered: against a server that hangs, one more would stay open with every try, until no file is left.
import { AsyncLocalStorage } from "node:async_hooks";
import { channel } from "node:diagnostics_channel";
import { Socket } from "node:net";

const opener = new AsyncLocalStorage<Set<Socket>>();

/** Node says so of each new client socket, in the context of whoever opens it. */
channel("net.client.socket").subscribe((message) => {
  const socket = (message as { readonly socket?: unknown }).socket;
  if (socket instanceof Socket) opener.getStore()?.add(socket);
});

/** Runs `open` and answers at once, with the function that destroys every socket it has opened or will open. */
export function watchSockets<Result>(open: () => Promise<Result>): {
  readonly opening: Promise<Result>;
  destroy(): void;
} {
  const sockets = new Set<Socket>();
  return {
    opening: opener.run(sockets, open),
    destroy() {
      for (const socket of sockets) {
        socket.on("error", () => {}); // Nobody listens any more.
        socket.destroy();
      }
    },
  };
}
