// An address that takes alerts, or does not: it answers 500, hangs, or is slow to begin with.
import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export type Received = {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
};

/** `answer`: a status, or "hang"; asked for each request by its number, from 0. */
export async function startWebhook(answer: (number: number) => number | "hang" = () => 200) {
  const received: Received[] = [];
  const hanging: ServerResponse[] = [];
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const part of request) body += String(part);
    const said = answer(received.length);
    received.push({ path: request.url ?? "", headers: request.headers, body });
    if (said === "hang") hanging.push(response);
    else response.writeHead(said, said === 302 ? { location: "/elsewhere" } : {}).end("ok");
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo; // SAFETY: it listens on a port.
  return {
    url: `http://127.0.0.1:${port}`,
    received: received as readonly Received[],
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}
