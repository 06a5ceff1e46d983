// A server that answers every request with an error, and repeats in it all that it was sent: key, address and body.
// Some real ones do, and proxies before them.
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

export type Heard = { readonly path: string; readonly said: string };

/** `answer`: with which status, or what it says instead, which is then no error. */
export async function startEchoServer(answer: (path: string) => number | object) {
  const heard: Heard[] = [];
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const part of request) body += String(part);
    const path = request.url ?? "";
    const said = `${JSON.stringify(request.headers)} ${body}`;
    heard.push({ path, said });
    const given = answer(path);
    if (typeof given === "object") {
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(given));
      return;
    }
    const message = `Not with that: ${request.method} ${path} ${said}`;
    response
      .writeHead(given, { "content-type": "application/json", "x-request-id": path })
      .end(JSON.stringify({ type: "error", error: { type: "invalid_request_error", message }, message }));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo; // SAFETY: it listens on a port.
  return {
    url: `http://127.0.0.1:${port}`,
    heard: heard as readonly Heard[],
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}
