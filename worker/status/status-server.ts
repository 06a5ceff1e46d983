// What a worker shows of itself over HTTP: GET /live, /ready, /health, /metrics, and the dashboard at / with what it
// reads (/events, /jobs, /documents); with a token, POST /search, /embed, /jobs/actions and the ways in. The open pages
// read no body and wait for nobody longer than a second; strangers learn only whether it works.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { Activity } from "../activity/activity.ts";
import type { ActivityLogFigures } from "../activity/activity-log.ts";
import type { Answer, AnswerPost } from "../document/http-answer.ts";
import type { OwnServer } from "../embedders/embedder.ts";
import type { Log } from "../log/log.ts";
import type { WorkerState } from "../queue/worker-state.ts";
import type { Searchable } from "../search/find-passages.ts";
import type { Access } from "./access.ts";
import { type AlertOptions, watchAlerts } from "./alerts/watch-alerts.ts";
import { answerRequest } from "./answer-request.ts";
import { bind } from "./bind.ts";
import { countConnections } from "./count-connections.ts";
import { openEvents } from "./dashboard/events.ts";
import { openOverview } from "./dashboard/overview.ts";
import { openReads } from "./dashboard/reads.ts";
import { tellThroughput } from "./dashboard/tell-throughput.ts";
import { watchRecent } from "./health.ts";
import { openMetrics } from "./metrics.ts";
import { type Describes, openPages } from "./pages.ts";
import { openQuestions } from "./questions.ts";
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
  readonly activityLog: () => ActivityLogFigures;
  readonly describe: Describes;
  readonly version: string;
  /** Above this no new job is claimed. */
  readonly memoryBytes: number;
  /** Where the embedder starts a server by itself: how that stands. */
  readonly server?: (() => Promise<OwnServer>) | undefined;
  /** What POST /search and /embed ask (they are off without a token), and the database of all that is shown. */
  readonly searchable: Searchable;
  /** What else a POST may be sent to by whoever has the token, by path: the ways in. */
  readonly posts?: ReadonlyMap<string, AnswerPost>;
  /** Where users' WebSockets are served by this server too. */
  readonly gateway?: {
    readonly upgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => void;
    readonly figures: () => Readonly<Record<string, string | number>>;
  };
  /** Has this replica look at the queue now, after an action. */
  readonly wake: () => void;
  /** Where alerts go, and when there is one; none without a place. */
  readonly alerts?: Pick<AlertOptions, "channels" | "limits" | "publicUrl">;
  /** For all replicas and a day; null: no cap. */
  readonly budgetUsd: number | null;
};

export type StatusServer = {
  readonly url: string;
  /** Ends within a second, whoever is still connected. Safe to call twice. */
  close(): Promise<void>;
};

const MOST_HEADER_BYTES = 8 * 1024;
const REQUEST_TIMEOUT_MS = 10_000;
// A large upload over a slow line; who sends nothing for REQUEST_TIMEOUT_MS is cut all the same.
const UPLOAD_TIMEOUT_MS = 30 * 60_000;
const KEEP_ALIVE_MS = 5_000;
// Answers under way may end; then every connection is cut.
const CLOSE_MS = 700;

/** Throws `config.invalid` when the port or address cannot be had. */
export async function startStatusServer(options: StatusServerOptions): Promise<StatusServer> {
  const { activity, log } = options;
  const figures = openQueueFigures(options.stats);
  const metrics = openMetrics({ ...options, figures });
  const { recent, stop } = watchRecent(activity);
  const parts = { ...options, figures, metrics, recent, startedAt: performance.now() };
  const { call } = options.searchable.database;
  const canAct = options.token !== null;
  const events = openEvents(openOverview({ ...parts, call, canAct }), securityHeaders);
  const server = openServer();
  const { isCrowded } = countConnections(server, options.gateway !== undefined);
  const stopListening = () => {
    metrics.stop();
    stop();
  };
  const binding = await bind(server, options.port, options.host).catch((thrown: unknown) => {
    stopListening();
    throw thrown;
  });
  const throughput = tellThroughput({ activity, call, workerId: () => options.state().workerId });
  const alerts = options.alerts && watchAlerts({ ...options.alerts, call, log, state: options.state });
  if (options.gateway !== undefined) server.on("upgrade", options.gateway.upgrade);
  const access: Access = { token: options.token, loopback: binding.loopback };
  const served = {
    pages: openPages(parts),
    posts: canAct
      ? new Map([
          ...openQuestions({ ...options.searchable, wake: options.wake }, log),
          ...(options.posts ?? []),
        ])
      : new Map<string, AnswerPost>(),
    events,
    read: openReads(call),
    access,
    log,
    isCrowded,
  };
  server.on("request", (request, response) => {
    answerRequest(request, response, served)
      .then((answer) => answer !== null && send(request, response, answer))
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
      events.close();
      closed ??= Promise.all([closeServer(server), throughput.stop(), alerts?.stop()]).then(() => {});
      return closed;
    },
  };
}

function openServer(): Server {
  const server = createServer({
    maxHeaderSize: MOST_HEADER_BYTES,
    requestTimeout: UPLOAD_TIMEOUT_MS,
    headersTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    connectionsCheckingInterval: 1_000,
  });
  // Somebody who does not read the answer either.
  server.timeout = REQUEST_TIMEOUT_MS;
  server.on("clientError", refuseBadRequest);
  return server;
}

const securityHeaders = {
  "cache-control": "no-store",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "referrer-policy": "no-referrer",
  "cross-origin-resource-policy": "same-origin",
  "cross-origin-opener-policy": "same-origin",
  "content-security-policy":
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
} as const;

function send(request: IncomingMessage, response: ServerResponse, answer: Answer): void {
  const hasBody =
    request.headers["transfer-encoding"] !== undefined || (request.headers["content-length"] ?? "0") !== "0";
  // A body that nobody read to its end: the connection ends with the answer instead.
  if (hasBody && !request.complete) response.shouldKeepAlive = false;
  response.writeHead(answer.status, {
    "content-type": answer.type,
    "content-length": Buffer.byteLength(answer.body),
    ...securityHeaders,
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
