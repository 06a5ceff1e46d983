// Where the status server listens. Whoever names a port gets that port or a sentence; whoever names none gets the
// first free one from 8080 on, on loopback, so that a second worker on a laptop just starts.
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { Failure } from "../failure/failure.ts";

export type Binding = {
  readonly port: number;
  /** What a person types: wildcard addresses are shown as localhost. */
  readonly url: string;
  readonly loopback: boolean;
  /** The port we would have liked. */
  readonly wanted: number;
};

const USUAL_PORT = 8080;
const PORTS_TRIED = 50;
const EVERYWHERE = "::";

/** Throws `config.invalid` when the named port or address cannot be had. */
export async function bind(server: Server, port: number | null, host: string | null): Promise<Binding> {
  if (port === null) return await bindNextFree(server, host ?? "127.0.0.1");
  try {
    await listen(server, port, host ?? EVERYWHERE);
  } catch (thrown) {
    // A machine without IPv6 has no "::".
    const withoutIpv6 = host === null && ["EAFNOSUPPORT", "EADDRNOTAVAIL"].includes(codeOf(thrown));
    if (!withoutIpv6) throw refusal(thrown, port, host);
    await listen(server, port, "0.0.0.0").catch((again: unknown) => {
      throw refusal(again, port, host);
    });
  }
  return bindingOf(server, port);
}

async function bindNextFree(server: Server, host: string): Promise<Binding> {
  for (let port = USUAL_PORT; port < USUAL_PORT + PORTS_TRIED; port += 1) {
    try {
      await listen(server, port, host);
      return bindingOf(server, USUAL_PORT);
    } catch (thrown) {
      if (!["EADDRINUSE", "EACCES"].includes(codeOf(thrown))) throw refusal(thrown, port, host);
    }
  }
  await listen(server, 0, host).catch((thrown: unknown) => {
    throw refusal(thrown, USUAL_PORT, host);
  });
  return bindingOf(server, USUAL_PORT);
}

async function listen(server: Server, port: number, host: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const listening = () => {
    server.off("error", failed);
    resolve();
  };
  const failed = (thrown: Error) => {
    server.off("listening", listening);
    reject(thrown);
  };
  server.once("listening", listening).once("error", failed).listen({ port, host });
  await promise;
}

function bindingOf(server: Server, wanted: number): Binding {
  const { address, port } = server.address() as AddressInfo; // SAFETY: it listens on a port, not on a path.
  const everywhere = address === EVERYWHERE || address === "0.0.0.0";
  const shown = everywhere ? "localhost" : address.includes(":") ? `[${address}]` : address;
  return { port, url: `http://${shown}:${port}`, loopback: isLoopback(address), wanted };
}

const isLoopback = (address: string) => address === "::1" || /^(::ffff:)?127\./.test(address);

function refusal(thrown: unknown, port: number, host: string | null): Failure {
  const code = codeOf(thrown);
  const where = host === null ? `${port}` : `${port} on ${host}`;
  const says =
    code === "EADDRINUSE"
      ? `Port ${where} is taken. Set PORT to a free one, or unset it to get the next free one.`
      : code === "EACCES"
        ? `Port ${where} may not be used by this user. Set PORT to 1024 or above.`
        : `The status server cannot listen on port ${where}. Check PORT and RAG_HTTP_HOST.`;
  return new Failure("config.invalid", { says, cause: thrown, facts: { code } });
}

const codeOf = (thrown: unknown) => (thrown as NodeJS.ErrnoException | null)?.code ?? "";
