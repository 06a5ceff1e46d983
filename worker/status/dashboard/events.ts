// GET /events: the overview as server-sent events, one every two seconds. All streams share one reading of the
// database, and there is none while nobody looks.
import type { IncomingMessage, ServerResponse } from "node:http";
import { type Answer, refusal } from "../../document/http-answer.ts";
import { UPDATE_MS } from "./overview.ts";

/** A page is one stream; more would be a mistake, or meant badly. The server serves 200 connections in all. */
export const MOST_STREAMS = 50;

export type EventStreams = {
  /** Takes the response over, or says why not. */
  open(request: IncomingMessage, response: ServerResponse): Answer | null;
  close(): void;
};

export function openEvents(
  overview: () => Promise<unknown>,
  headers: Readonly<Record<string, string>>,
): EventStreams {
  const streams = new Set<ServerResponse>();
  let timer: NodeJS.Timeout | null = null;
  let number = 0;
  let closed = false;

  const read = async () => {
    number += 1;
    const message = await overview().then(
      (value) => `id: ${number}\nevent: overview\ndata: ${JSON.stringify(value)}\n\n`,
      // A comment: the stream is alive, and the page says how old its figures are.
      () => ": nothing could be read\n\n",
    );
    return message;
  };
  const beat = async () => {
    const message = await read();
    for (const stream of streams) write(stream, message);
    // Not setInterval: a slow database gets its pause too.
    timer = streams.size === 0 || closed ? null : setTimeout(() => void beat(), UPDATE_MS);
  };
  const begin = async (stream: ServerResponse) => {
    write(stream, await read());
    if (timer === null && streams.size > 0 && !closed) timer = setTimeout(() => void beat(), UPDATE_MS);
  };
  return {
    open(request, response) {
      if (closed || streams.size >= MOST_STREAMS)
        return refusal(503, "http.busy", `There are ${MOST_STREAMS} streams already.`, {
          "retry-after": "5",
        });
      response.writeHead(200, {
        ...headers,
        "content-type": "text/event-stream; charset=utf-8",
        // Proxies that collect an answer before they pass it on would never pass this one on.
        "x-accel-buffering": "no",
      });
      // So long a page waits before it connects again.
      response.write("retry: 2000\n\n");
      streams.add(response);
      const gone = () => void streams.delete(response);
      response.once("close", gone).once("error", gone);
      request.resume();
      void begin(response);
      return null;
    },
    close() {
      closed = true;
      if (timer !== null) clearTimeout(timer);
      for (const stream of streams) stream.end();
      streams.clear();
    },
  };
}

/** Whoever reads too slowly misses an update, for the next one says everything again; the server's timeout ends him. */
function write(stream: ServerResponse, message: string): void {
  if (stream.writableEnded || stream.destroyed || stream.writableNeedDrain) return;
  stream.write(message);
}
