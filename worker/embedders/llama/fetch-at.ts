// `fetch` to a server of ours, which Node's own cannot do over a UNIX socket. A connection for each request:
// it costs microseconds here, and a kept one could be closed by the server while a request is on its way.
import { request } from "node:http";
import { Readable } from "node:stream";
import type { Place } from "./place.ts";

/** What stands before the path in every address: it is not looked at, for the place decides where a request goes. */
export const HERE = "http://localhost";

/** Only what our own requests need: a text as the body, no redirects. Rejects as fetch does, with a TypeError. */
export function fetchAt({ host, port, socketPath }: Place): typeof fetch {
  const target = socketPath === null ? { host, port } : { socketPath };
  return (url, init = {}) =>
    new Promise((resolve, reject) => {
      const { pathname, search } = new URL(url instanceof Request ? url.url : url);
      const body = typeof init.body === "string" ? Buffer.from(init.body) : null;
      const sent = request({
        ...target,
        path: `${pathname}${search}`,
        method: init.method ?? "GET",
        headers: {
          ...Object.fromEntries(new Headers(init.headers)),
          host: "localhost",
          ...(body && { "content-length": body.length }),
        },
        agent: false,
        ...(init.signal && { signal: init.signal }),
      });
      sent.once("response", (answer) => {
        const headers = new Headers();
        for (const [name, value] of Object.entries(answer.headers))
          if (typeof value === "string") headers.set(name, value);
        // SAFETY: no encoding is set, so the stream is of bytes.
        const stream = Readable.toWeb(answer) as ReadableStream<Uint8Array<ArrayBuffer>>;
        resolve(new Response(stream, { status: answer.statusCode ?? 502, headers }));
      });
      sent.once("error", (cause) => {
        reject(init.signal?.aborted ? cause : new TypeError("fetch failed", { cause }));
      });
      sent.end(body);
    });
}
