// What becomes of a connection, said once for each change: a server that stays away is news only the first time.
import type { Activity } from "../activity/activity.ts";
import { adviseOperator } from "../failure/describe.ts";
import type { Failure } from "../failure/failure.ts";

export type LinkNews = {
  connected(): void;
  failed(failure: Failure): void;
};

export function openLinkNews(activity: Activity, way: "redis" | "supabase"): LinkNews {
  let trouble: string | null = null;
  let isKnown = false;
  let lostAt = 0;
  return {
    connected() {
      if (trouble !== null)
        activity.say("realtime.regained", { way, afterMs: Math.round(performance.now() - lostAt) });
      else if (!isKnown) activity.say("realtime.connected", { way });
      trouble = null;
      isKnown = true;
    },
    failed(failure) {
      if (trouble === null) lostAt = performance.now();
      if (trouble !== failure.code)
        activity.say("realtime.lost", { way, code: failure.code, advice: adviseOperator(failure) });
      trouble = failure.code;
    },
  };
}
