// One user's socket: what goes to it, and every reason to end it. It may only say one thing, a new token.
import type { RawData, WebSocket } from "ws";
import { z } from "zod";
import type { Activity } from "../activity/activity.ts";
import { failureFromUnknown } from "../failure/from-unknown.ts";
import type { Receiver } from "./hub.ts";
import type { User, VerifyUser } from "./verify-user.ts";

export type SocketTimes = {
  /** Between two pings; without an answer until the next one the socket is dead. */
  readonly pingMs: number;
};

// 4000 and above are an application's own; 4401 and 4408 after the HTTP statuses of the same meaning.
export const CLOSE = { stopping: 1001, policy: 1008, tokenExpired: 4401, tooSlow: 4408 } as const;

// An event is some hundred bytes: whoever has a thousand of them waiting does not read.
const MOST_BUFFERED_BYTES = 512 * 1024;
// A client that is told why it is dropped, and does not take that either.
const LAST_WORDS_MS = 2000;
const MOST_SAID = 30;
const SAID_WITHIN_MS = 60_000;
// A timer takes no longer time than this; a token that lasts longer is looked at again then.
const LONGEST_TIMER_MS = 2 ** 31 - 1;

const said = z.object({ type: z.literal("auth"), access_token: z.string().min(1).max(8192) });

export type UserSocket = Receiver & { end(code: number, reason: string): void };

export function openUserSocket(
  socket: WebSocket,
  user: User,
  { verify, activity, times }: { verify: VerifyUser; activity: Activity; times: SocketTimes },
): UserSocket {
  let alive = true;
  let ended = false;
  let saidRecently = 0;
  let expiry: NodeJS.Timeout | null = null;

  const end = (code: number, reason: string) => {
    if (ended) return;
    ended = true;
    if (code !== CLOSE.stopping)
      activity.say("gateway.dropped", { why: reason, buffered: socket.bufferedAmount });
    socket.close(code, reason);
    setTimeout(() => socket.terminate(), LAST_WORDS_MS).unref();
  };
  const untilExpiry = (at: number) => {
    if (expiry !== null) clearTimeout(expiry);
    const leftMs = at - Date.now();
    expiry = setTimeout(
      () => (leftMs > LONGEST_TIMER_MS ? untilExpiry(at) : end(CLOSE.tokenExpired, "token expired")),
      Math.min(Math.max(leftMs, 0), LONGEST_TIMER_MS),
    );
  };
  const ping = setInterval(() => {
    saidRecently = 0;
    if (!alive) {
      activity.say("gateway.dropped", { why: "no answer", buffered: socket.bufferedAmount });
      ended = true;
      socket.terminate();
      return;
    }
    alive = false;
    socket.ping();
  }, times.pingMs);
  const hear = async (data: RawData) => {
    saidRecently += 1;
    if (saidRecently > MOST_SAID) return end(CLOSE.policy, "too many messages");
    const read = said.safeParse(parsed(data));
    if (!read.success) return end(CLOSE.policy, "unknown message");
    try {
      const again = await verify(read.data.access_token);
      if (again.id !== user.id) return end(CLOSE.policy, "token of another user");
      untilExpiry(again.expiresAt);
    } catch (thrown) {
      // Keys that cannot be fetched just now take nothing away: the old token still holds until its end.
      if (failureFromUnknown(thrown).code === "gateway.unauthorised")
        end(CLOSE.tokenExpired, "token not valid");
    }
  };

  untilExpiry(user.expiresAt);
  const resetSaid = setInterval(() => {
    saidRecently = 0;
  }, SAID_WITHIN_MS);
  socket.on("pong", () => {
    alive = true;
  });
  socket.on("message", (data) => void hear(data));
  // A frame that breaks the protocol or is too large; ws closes by itself then.
  socket.on("error", () => {});
  socket.once("close", () => {
    ended = true;
    clearInterval(ping);
    clearInterval(resetSaid);
    if (expiry !== null) clearTimeout(expiry);
  });
  return {
    send(text) {
      if (ended) return false;
      if (socket.bufferedAmount > MOST_BUFFERED_BYTES) {
        end(CLOSE.tooSlow, "too slow");
        return false;
      }
      socket.send(text);
      return true;
    },
    end,
  };
}

function parsed(data: RawData): unknown {
  try {
    return JSON.parse(String(data));
  } catch {
    return null;
  }
}
