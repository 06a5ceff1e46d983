// WebSocket /ws: each signed-in user hears of his own documents and jobs, and of nobody else's. The gateway forwards
// what it hears as it is; it keeps nothing, so a client that was away asks the database (`catch_up`).
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { WebSocketServer } from "ws";
import type { Activity } from "../activity/activity.ts";
import { Failure } from "../failure/failure.ts";
import { failureFromUnknown } from "../failure/from-unknown.ts";
import { within } from "../timing/durations.ts";
import type { EventFeed, Heard } from "./event-feed.ts";
import { openHub } from "./hub.ts";
import { CLOSE, openUserSocket, type SocketTimes, type UserSocket } from "./socket.ts";
import type { User, VerifyUser } from "./verify-user.ts";

export type GatewayOptions = {
  readonly verify: VerifyUser;
  readonly activity: Activity;
  /** Opens what events come from, and hears them. */
  readonly openFeed: (heard: Heard) => EventFeed;
  /** Other than usual, for tests. */
  readonly times?: SocketTimes;
};

export type GatewayFigures = {
  readonly sockets: number;
  readonly feed: "redis" | "local";
  readonly feed_state: "live" | "away";
  readonly forwarded: number;
  readonly malformed: number;
  readonly refused: number;
};

export type Gateway = {
  /** For an HTTP server's event of this name. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
  figures(): GatewayFigures;
  /** Ends every socket with a reason, within about two seconds. */
  close(): Promise<void>;
};

export const GATEWAY_PATH = "/ws";
const USUAL_TIMES: SocketTimes = { pingMs: 30_000 };
// The only thing a client may say is a token.
const MOST_SAID_BYTES = 16 * 1024;
const CLOSE_MS = 2000;
// Tokens that are checked at the same time; the rest is told to come back.
const MOST_KNOCKING = 500;

export function openGateway(options: GatewayOptions): Gateway {
  const hub = openHub();
  const server = new WebSocketServer({
    noServer: true,
    maxPayload: MOST_SAID_BYTES,
    perMessageDeflate: false,
    // The token stands beside it and must not be sent back.
    handleProtocols: (offered) => (offered.has("bearer") ? "bearer" : false),
  });
  const sockets = new Set<UserSocket>();
  const counts = { forwarded: 0, refused: 0 };
  let knocking = 0;
  let isClosing = false;
  const feed = options.openFeed({
    event(userId, text) {
      counts.forwarded += hub.tell(userId, text);
    },
    feed: (state) => hub.tellAll(aboutFeed(state)),
  });

  const welcome = (request: IncomingMessage, raw: Duplex, head: Buffer, user: User) => {
    server.handleUpgrade(request, raw, head, (socket) => {
      const own = openUserSocket(socket, user, { ...options, times: options.times ?? USUAL_TIMES });
      const leave = hub.add(user.id, own);
      if (leave === null) return own.end(CLOSE.policy, "too many connections");
      sockets.add(own);
      socket.once("close", () => {
        leave();
        sockets.delete(own);
      });
      own.send(
        event("gateway.ready", { user_id: user.id, feed: feed.kind, state: feed.state(), catch_up: true }),
      );
      if (isClosing) own.end(CLOSE.stopping, "the gateway stops");
    });
  };
  return {
    upgrade(request, raw, head) {
      raw.on("error", () => {});
      const refuse = (failure: Failure) => {
        counts.refused += 1;
        answerRefused(raw, failure);
      };
      if (pathOf(request) !== GATEWAY_PATH) return answerRefused(raw, null);
      if (isClosing || knocking >= MOST_KNOCKING) return refuse(new Failure("gateway.full"));
      const token = tokenOf(request);
      if (token === null) return refuse(new Failure("gateway.unauthorised"));
      knocking += 1;
      void options
        .verify(token)
        .then((user) => welcome(request, raw, head, user))
        .catch((thrown: unknown) => refuse(failureFromUnknown(thrown)))
        .finally(() => {
          knocking -= 1;
        });
    },
    figures: () => ({
      sockets: hub.size(),
      feed: feed.kind,
      feed_state: feed.state(),
      ...counts,
      malformed: feed.malformed(),
    }),
    async close() {
      isClosing = true;
      await feed.close();
      for (const one of sockets) one.end(CLOSE.stopping, "the gateway stops");
      const { promise, resolve } = Promise.withResolvers<void>();
      server.close(() => resolve());
      await within(CLOSE_MS, promise);
      for (const client of server.clients) client.terminate();
    },
  };
}

/** What was missed is asked for: from the database, by the application. */
const aboutFeed = (state: "live" | "away") =>
  event(state === "live" ? "gateway.resumed" : "gateway.degraded", { state, catch_up: state === "live" });

const event = (type: string, payload: Readonly<Record<string, unknown>>) => JSON.stringify({ type, payload });

const pathOf = (request: IncomingMessage) => (request.url ?? "").split("?", 1)[0];

/** `Sec-WebSocket-Protocol: bearer, <token>`, or `?access_token=`. */
function tokenOf(request: IncomingMessage): string | null {
  const [scheme, token] = (request.headers["sec-websocket-protocol"] ?? "")
    .split(",")
    .map((word) => word.trim());
  if (scheme === "bearer" && token !== undefined && token !== "") return token;
  const query = (request.url ?? "").split("?")[1] ?? "";
  return new URLSearchParams(query).get("access_token");
}

/** null: no such path. */
function answerRefused(raw: Duplex, failure: Failure | null): void {
  const status =
    failure === null
      ? "404 Not Found"
      : failure.code === "gateway.unauthorised"
        ? "401 Unauthorized"
        : "503 Service Unavailable";
  const code = failure?.code ?? "http.not-found";
  const body = JSON.stringify({ error: { code, message: failure?.message ?? `There is: ${GATEWAY_PATH}.` } });
  raw.end(
    `HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-type: application/json; charset=utf-8\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}
