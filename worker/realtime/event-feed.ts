// Where a gateway's events come from: Redis, which all workers publish on, or this process's own jobs alone.
// It says when events may have been missed, so that clients ask the database instead of waiting.
import { connectRedis } from "../wake-buses/redis.ts";
import { readServerAddress } from "../wake-buses/server-address.ts";
import { stayConnected, type Times } from "../wake-buses/stay-connected.ts";
import { REALTIME_CHANNEL, type RealtimeEvent, userOfEvent } from "./event.ts";
import type { LinkNews } from "./link-news.ts";

export type Heard = {
  event(userId: string, text: string): void;
  /** Events are missed from now on, or may have been missed until now. */
  feed(state: "live" | "away"): void;
};

export type EventFeed = {
  readonly kind: "redis" | "local";
  state(): "live" | "away";
  /** What could not be an event. */
  malformed(): number;
  close(): Promise<void>;
};

export function feedFromRedis(url: string, heard: Heard, news: LinkNews, times?: Times): EventFeed {
  let state: "live" | "away" = "away";
  let malformed = 0;
  const hear = (payload: string | Uint8Array) => {
    const text = typeof payload === "string" ? payload : new TextDecoder().decode(payload);
    const userId = userOfEvent(text);
    if (userId === null) malformed += 1;
    else heard.event(userId, text);
  };
  const address = readServerAddress("REDIS_URL", url);
  const link = stayConnected(
    (signal) => connectRedis({ address, hear, channel: REALTIME_CHANNEL }, signal),
    {
      connected() {
        state = "live";
        news.connected();
        heard.feed("live");
      },
      failed(failure) {
        const isNews = state === "live";
        state = "away";
        news.failed(failure);
        if (isNews) heard.feed("away");
      },
    },
    times,
  );
  return { kind: "redis", state: () => state, malformed: () => malformed, close: () => link.close() };
}

/** For a gateway inside a worker, where there is no Redis: that worker's own events. */
export function feedFromHere(
  listen: (hear: (event: RealtimeEvent) => void) => () => void,
  heard: Heard,
): EventFeed {
  const stop = listen((event) => heard.event(event.user_id, JSON.stringify(event)));
  return { kind: "local", state: () => "live", malformed: () => 0, close: async () => stop() };
}
