// Stands before a PostgREST server and, when told to, sends a call twice, as gateways and impatient clients do.
// Whoever called hears one answer.
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";

export type RpcDoubler = {
  readonly port: number;
  /** The next calls are sent twice each: one after the other, or both at once. */
  doubleNext(calls: number, manner: "after" | "at-once"): void;
  /** Calls that are still to be doubled. */
  left(): number;
  close(): Promise<void>;
};

export async function startRpcDoubler(target: string): Promise<RpcDoubler> {
  let left = 0;
  let manner: "after" | "at-once" = "after";
  const forward = async (request: IncomingMessage, response: ServerResponse) => {
    const body = await buffer(request);
    const { host: _host, connection: _connection, ...headers } = request.headers;
    const send = () =>
      fetch(new URL(request.url ?? "/", target), {
        method: request.method ?? "POST",
        // SAFETY: the headers of a call have one value each.
        headers: headers as Record<string, string>,
        body,
        redirect: "manual",
      });
    const twice = left > 0;
    if (twice) left -= 1;
    const answer = twice ? await sendTwice(send, manner) : await send();
    const bytes = Buffer.from(await answer.arrayBuffer());
    response.writeHead(answer.status, {
      "content-type": answer.headers.get("content-type") ?? "application/json",
      "content-length": bytes.length,
    });
    response.end(bytes);
  };
  const server = createServer((request, response) => {
    forward(request, response).catch(() => response.destroy());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port, // SAFETY: a TCP server that listens has one.
    doubleNext(calls, how) {
      left = calls;
      manner = how;
    },
    left: () => left,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections(); // After close(), or one that came in between would keep it open.
      await closed;
    },
  };
}

async function sendTwice(send: () => Promise<Response>, manner: "after" | "at-once"): Promise<Response> {
  if (manner === "at-once") {
    const [first] = await Promise.all([send(), send().then((response) => response.arrayBuffer())]);
    return first;
  }
  await (await send()).arrayBuffer();
  return await send();
}
