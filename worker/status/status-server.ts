// What a worker shows of itself over HTTP: GET /live, /ready, /health, /metrics and / .
// Reads no body, waits for nobody longer than a second, and tells strangers no more than whether it works.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { Activity } from "../activity/activity.ts";
import type { Log } from "../log/log.ts";
import type { WorkerState } from "../queue/worker-state.ts";
import { type Access, refuseReader } from "./access.ts";
import { bind } from "./bind.ts";
import { watchRecent } from "./health.ts";
import { openMetrics } from "./metrics.ts";
import { type Answer, type Describes, openPages, type Page, refusal } from "./pages.ts";
import { openQueueFigures } from "./queue-figures.ts";

export type StatusServerOptions = {
  /** null: 8080 or the next free one, on loopback. */
  readonly port: number | null;
  readonly host: string | null;
  readonly token: string | null;
  readonly activity: Activity;
  readonly log: Log;
  readonly state: () => WorkerState;
  /** Asks rag_queue_stats. */
  readonly stats: () => Promise<unknown>;
  readonly describe: Describes;
  readonly version: string;
  /** Above this no new job is claimed. */
  readonly memoryBytes: number;
};

export type StatusServer = {
  readonly url: string;
  /** Ends within a second, whoever is still connected. Safe to call twice. */
  close(): Promise<void>;
};

const MOST_HEADER_BYTES = 8 * 1024;
const MOST_CONNECTIONS = 200;
const REQUEST_TIMEOUT_MS = 10_000;
const KEEP_ALIVE_MS = 5_000;
// Answers under way may end; then every connection is cut.
const CLOSE_MS = 700;

/** Throws `config.invalid` when the port or address cannot be had. */
export async function startStatusServer(options: StatusServerOptions): Promise<StatusServer> {
  const { activity, state, log } = options;
  const figures = openQueueFigures(options.stats);
  const metrics = openMetrics({ activity, state, figures, version: options.version });
  const { recent, stop } = watchRecent(activity);
  const pages = openPages({ ...options, figures, metrics, recent, startedAt: performance.now() });
  const server = openServer();
  const stopListening = () => {
    metrics.stop();
    stop();
  };
  const binding = await bind(server, options.port, options.host).catch((thrown: unknown) => {
    stopListening();
    throw thrown;
  });
  const access: Access = { token: options.token, loopback: binding.loopback };
  server.on("request", (request, response) => {
    answerTo(request, pages, access, log)
      .then((answer) => send(request, response, answer))
      .catch(() => response.destroy());
  });
  // What goes wrong after the start (no file descriptor left) must not end the worker.
  server.on("error", (err) => log.warn({ err }, "status server error"));
  if (binding.port !== binding.wanted && binding.wanted !== 0)
    log.info(
      { port: binding.port, taken: binding.wanted },
      "port taken, status server took the next free one",
    );
  let closed: Promise<void> | null = null;
  return {
    url: binding.url,
    close() {
      stopListening();
      closed ??= closeServer(server);
      return closed;
    },
  };
}

function openServer(): Server {
  const server = createServer({
    maxHeaderSize: MOST_HEADER_BYTES,
    requestTimeout: REQUEST_TIMEOUT_MS,
    headersTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    connectionsCheckingInterval: 1_000,
  });
  server.maxConnections = MOST_CONNECTIONS;
  // Somebody who does not read the answer either.
  server.timeout = REQUEST_TIMEOUT_MS;
  server.on("clientError", refuseBadRequest);
  return server;
}

/** The answer to a request. Never throws: a page that fails is an answer too. */
async function answerTo(
  request: IncomingMessage,
  pages: ReadonlyMap<string, Page>,
  access: Access,
  log: Log,
): Promise<Answer> {
  const page = pages.get((request.url ?? "").split("?", 1)[0] ?? "");
  if (page === undefined) return refusal(404, "http.not-found", `There is: ${[...pages.keys()].join(", ")}.`);
  if (request.method !== "GET" && request.method !== "HEAD")
    return refusal(405, "http.method-not-allowed", "Only GET and HEAD.", { allow: "GET, HEAD" });
  const refused = page.open ? null : refuseReader(request, access);
  if (refused !== null) return refusal(401, "http.unauthorised", refused, { "www-authenticate": "Bearer" });
  try {
    return await page.answer();
  } catch (err) {
    log.error({ err, path: request.url?.split("?", 1)[0] ?? "" }, "status page failed");
    return refusal(500, "unexpected", "This page could not be made; the reason is in the log.");
  }
}

function send(request: IncomingMessage, response: ServerResponse, answer: Answer): void {
  const hasBody =
    request.headers["transfer-encoding"] !== undefined || (request.headers["content-length"] ?? "0") !== "0";
  // A body is never read: the connection ends with the answer instead.
  if (hasBody) response.shouldKeepAlive = false;
  response.writeHead(answer.status, {
    "content-type": answer.type,
    "content-length": Buffer.byteLength(answer.body),
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "content-security-policy":
      "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ...answer.headers,
  });
  response.end(request.method === "HEAD" ? undefined : answer.body);
}

function refuseBadRequest(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (error.code === "ECONNRESET" || !socket.writable) {
    socket.destroy();
    return;
  }
  const status =
    error.code === "HPE_HEADER_OVERFLOW"
      ? "431 Request Header Fields Too Large"
      : error.code === "ERR_HTTP_REQUEST_TIMEOUT"
        ? "408 Request Timeout"
        : "400 Bad Request";
  socket.end(`HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`);
}

async function closeServer(server: Server): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  server.close(() => resolve());
  server.closeIdleConnections();
  const cut = setTimeout(() => server.closeAllConnections(), CLOSE_MS);
  await promise;
  clearTimeout(cut);
}
