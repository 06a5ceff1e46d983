// The gateway that the settings mean: fed by Redis where there is one, else by this process's own events.
import type { Activity } from "../activity/activity.ts";
import type { Config } from "../config/config.ts";
import { Failure } from "../failure/failure.ts";
import { feedFromHere, feedFromRedis } from "./event-feed.ts";
import { type Gateway, openGateway } from "./gateway.ts";
import { openLinkNews } from "./link-news.ts";
import type { Realtime } from "./open-realtime.ts";
import { openVerifyUser } from "./verify-user.ts";

export type GatewayConfig = Pick<Config, "redisUrl" | "supabaseUrl" | "jwtSecret">;

/** `here` null: there are no jobs in this process. Throws `config.invalid`. */
export function openConfiguredGateway(
  { redisUrl, supabaseUrl, jwtSecret }: GatewayConfig,
  activity: Activity,
  here: Realtime | null,
): Gateway {
  const verify = openVerifyUser({ secret: jwtSecret, url: supabaseUrl });
  if (redisUrl === null && here === null)
    throw new Failure("config.invalid", {
      says: "rag gateway needs REDIS_URL, on which workers publish. Without Redis set RAG_GATEWAY=true in a worker.",
    });
  return openGateway({
    verify,
    activity,
    openFeed: (heard) =>
      redisUrl !== null
        ? feedFromRedis(redisUrl, heard, openLinkNews(activity, "redis"))
        : // SAFETY: one of the two is there, as was checked.
          feedFromHere((here as Realtime).listen, heard),
  });
}
