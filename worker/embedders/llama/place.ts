// Where a server of ours listens: a UNIX socket in a folder that only this user may enter, or a loopback port
// where that was asked for, where the system has no such sockets, or where the folder's path is too long for one.
import { mkdtemp, realpath } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Failure } from "../../failure/failure.ts";

export type Place = {
  /** For the program. */
  readonly host: string;
  readonly port: number;
  readonly socketPath: string | null;
  /** Holds the socket; to be removed with the server. */
  readonly folder: string | null;
};

export type WantedPlace = { readonly host: string | null; readonly port: number | null };

// sockaddr_un holds 104 bytes on macOS and 108 on Linux, the last of them 0.
const LONGEST_SOCKET_PATH = 103;
// Not listened to: on a UNIX socket the program wants a number all the same.
const NO_PORT = 8080;

/** Throws `config.invalid` for a host off this machine: the server has no key and answers every web page (CORS *). */
export function checkHost(host: string | null): void {
  if (host === null || host === "localhost" || host === "::1" || /^127(\.\d{1,3}){3}$/.test(host)) return;
  throw new Failure("config.invalid", {
    says: "LLAMA_SERVER_HOST must be a loopback address: the llama-server this worker starts has no key.",
  });
}

/** Throws `config.invalid` when the wanted port is taken. */
export async function choosePlace({ host, port }: WantedPlace): Promise<Place> {
  if (host === null && port === null && process.platform !== "win32") {
    const parent = await realpath(tmpdir());
    // mkdtemp adds six signs, and gives the folder to its owner alone (0700).
    if (Buffer.byteLength(join(parent, "rag-llama-XXXXXX", "s.sock")) <= LONGEST_SOCKET_PATH) {
      const folder = await mkdtemp(join(parent, "rag-llama-"));
      const socketPath = join(folder, "s.sock");
      return { host: socketPath, port: NO_PORT, socketPath, folder };
    }
  }
  const address = host ?? "127.0.0.1";
  const free = await tryPort(address, port ?? 0);
  if (free === null)
    throw new Failure("config.invalid", {
      says: `LLAMA_SERVER_PORT ${port} cannot be had on ${address}: another program may listen there. Choose another port, or none for a UNIX socket.`,
    });
  return { host: address, port: free, socketPath: null, folder: null };
}

/** The port, or the one the system chose for 0; null when it cannot be had. */
async function tryPort(host: string, port: number): Promise<number | null> {
  const server = createServer();
  return await new Promise((done) => {
    server.once("error", () => done(null));
    server.listen({ host, port, exclusive: true }, () => {
      const address = server.address();
      server.close(() => done(typeof address === "object" ? (address?.port ?? null) : null));
    });
  });
}
