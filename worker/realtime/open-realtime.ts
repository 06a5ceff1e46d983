// Where this worker's events go: Redis, Supabase Realtime, and whoever listens in this process (its own gateway).
import type { Activity } from "../activity/activity.ts";
import type { Config } from "../config/config.ts";
import { Failure } from "../failure/failure.ts";
import { readServerAddress } from "../wake-buses/server-address.ts";
import type { Times } from "../wake-buses/stay-connected.ts";
import type { RealtimeEvent } from "./event.ts";
import { tellJobEvents } from "./job-events.ts";
import { openLinkNews } from "./link-news.ts";
import { publishToSupabase } from "./publish-broadcast.ts";
import { publishToRedis } from "./publish-redis.ts";
import type { Publisher } from "./publisher.ts";

export type RealtimeConfig = Pick<Config, "realtime" | "redisUrl" | "supabaseUrl" | "supabaseKey">;

export type Realtime = {
  /** Events of this process's jobs, for its own gateway. */
  listen(hear: (event: RealtimeEvent) => void): () => void;
  close(): Promise<void>;
};

/** Throws `config.invalid` for a way that was asked for and has no address. */
export function openRealtime(config: RealtimeConfig, activity: Activity, times?: Times): Realtime {
  const publishers = publishersOf(config, activity, times);
  const listeners = new Set<(event: RealtimeEvent) => void>();
  const events = tellJobEvents(activity, (event, { jobId }) => {
    for (const publisher of publishers) publisher.publish(event, jobId);
    for (const hear of listeners) hear(event);
  });
  return {
    listen(hear) {
      listeners.add(hear);
      return () => listeners.delete(hear);
    },
    async close() {
      events.close();
      await Promise.all(publishers.map((publisher) => publisher.close()));
    },
  };
}

function publishersOf(
  config: RealtimeConfig,
  activity: Activity,
  times: Times | undefined,
): readonly Publisher[] {
  const { realtime, redisUrl, supabaseUrl, supabaseKey } = config;
  const hasSupabase = supabaseUrl !== null && supabaseKey !== null;
  const wants = (way: "redis" | "supabase") => realtime === way || realtime === "both" || realtime === "auto";
  if (redisUrl === null && (realtime === "redis" || realtime === "both"))
    throw new Failure("config.invalid", { says: `RAG_REALTIME=${realtime} needs REDIS_URL.` });
  if (!hasSupabase && (realtime === "supabase" || realtime === "both"))
    throw new Failure("config.invalid", {
      says: `RAG_REALTIME=${realtime} needs SUPABASE_URL and SUPABASE_SERVICE_ROLE_KEY.`,
    });
  return [
    ...(redisUrl !== null && wants("redis")
      ? [publishToRedis(readServerAddress("REDIS_URL", redisUrl), openLinkNews(activity, "redis"), times)]
      : []),
    ...(hasSupabase && wants("supabase")
      ? [publishToSupabase({ url: supabaseUrl, key: supabaseKey }, openLinkNews(activity, "supabase"))]
      : []),
  ];
}
