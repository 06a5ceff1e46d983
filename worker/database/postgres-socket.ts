// The TCP connection under the Postgres library, which never sets TCP_NODELAY itself: small messages then
// wait for the other side's delayed ACK, and a small COPY takes 50 ms instead of 1.
import { connect, type NetConnectOpts, Socket } from "node:net";
import type { PostgresAddress } from "./postgres-address.ts";

/**
 * Answers a connected socket, as the library expects from a factory; it then starts TLS on it.
 * It never rejects: a rejected factory leaves the library's connection slot dead for good. A failed
 * attempt is a socket that ends with the error, as one would that the library had opened itself.
 */
export function connectSocket(address: PostgresAddress, timeoutMs: number): Promise<Socket> {
  const target: NetConnectOpts =
    address.path === null ? { host: address.host, port: address.port } : { path: address.path };
  return new Promise((resolve) => {
    const socket = connect({ ...target, noDelay: true });
    const timer = setTimeout(
      () => fail(Object.assign(new Error("connect timeout"), { code: "ETIMEDOUT" })),
      timeoutMs,
    );
    const fail = (error: Error) => {
      clearTimeout(timer);
      socket.removeAllListeners();
      socket.on("error", () => {}); // What a dying socket adds is known already.
      socket.destroy();
      resolve(new FailedSocket(error));
    };
    socket.once("error", fail);
    socket.once("connect", () => {
      clearTimeout(timer);
      socket.removeListener("error", fail);
      socket.once("close", () => sayWhy(socket));
      // The name that TLS asks the server's certificate for.
      resolve(Object.assign(socket, { host: address.host }));
    });
  });
}

/** A server that hangs up without a word would be asked again at once and for ever: make it an error. */
function sayWhy(socket: Socket): void {
  if (socket.bytesRead === 0)
    socket.emit("error", Object.assign(new Error("closed before an answer"), { code: "ECONNRESET" }));
}

class FailedSocket extends Socket {
  constructor(error: Error) {
    super();
    // Two turns later: the library has then attached its listeners and flushed its first message into us.
    setImmediate(() => setImmediate(() => this.destroy(error)));
  }

  override write(): boolean {
    return true;
  }
}
