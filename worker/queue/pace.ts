// How long an idle worker waits before it looks at the queue again.
import type { Exchanged } from "./exchange.ts";
import type { HintSource } from "./hint-source.ts";

export type Pace = {
  /** What an exchange that asked for jobs, or did not, has told. */
  heard(brought: number, told: Pick<Exchanged, "watch" | "dueMs">): void;
  /** Milliseconds until the next look; longer each time while nothing is found. */
  nextMs(): number;
};

// The first pause after the queue ran empty; it doubles up to the longest.
const FIRST_MS = 200;
// A bus that should wake us and is away: somebody counts on being noticed soon.
const UNREACHABLE_MS = 2000;
// The reaper wants to see a session lock missing for half a second, in two looks.
const WATCH_MS = 600;

export function openPace(options: {
  readonly idleMs: number;
  readonly watches: boolean;
  readonly hints: Pick<HintSource, "state">;
}): Pace {
  let idleMs = FIRST_MS;
  let mostMs = Number.POSITIVE_INFINITY;
  return {
    heard(brought, { watch, dueMs }) {
      if (brought > 0) idleMs = FIRST_MS;
      mostMs = Math.min(
        watch && options.watches ? WATCH_MS : Number.POSITIVE_INFINITY,
        dueMs ?? Number.POSITIVE_INFINITY,
      );
    },
    nextMs() {
      const isAway = options.hints.state() === "unreachable";
      const longest = isAway ? Math.min(UNREACHABLE_MS, options.idleMs) : options.idleMs;
      // Jitter keeps the replicas from knocking all at the same moment. While hints arrive, the poll is the insurance.
      const isLive = options.hints.state() === "live";
      const pauseMs = Math.min(idleMs, longest) * ((isLive ? 1 : 0.9) + Math.random() * 0.1);
      idleMs = Math.min(idleMs * 2, longest);
      return Math.min(pauseMs, mostMs);
    },
  };
}
