// Keeps this replica's share fresh while a limit holds it back, and asks nobody while none does.
import type { AskForShare, Share, ShareUse } from "./shared-share.ts";

export type ShareKeeper = {
  /** 1 until others are known. */
  share(): number;
  replicas(): number;
  /** The provider's limits matter just now: the share is renewed soon, and at once when it is asked for first. */
  wanted(): void;
  /** Told to the others at once. */
  blocked(): void;
  close(): Promise<void>;
};

const EVERY_MS = 1_000;
const AT_ONCE_MS = 100;
/** Without anybody asking for so long, the row is left to run out. */
const IDLE_MS = 3_000;

/** `heard`: what the others know. */
export function openShareKeeper(
  ask: AskForShare | null,
  use: () => ShareUse,
  heard: (share: Share) => void,
): ShareKeeper {
  let last: Share = { share: 1, replicas: 1, blockedMs: 0 };
  let wantedAt = Number.NEGATIVE_INFINITY;
  let askedAt = Number.NEGATIVE_INFINITY;
  let timer: NodeJS.Timeout | null = null;
  let asking: Promise<void> | null = null;
  let closed = false;

  async function renew(): Promise<void> {
    askedAt = performance.now();
    try {
      last = (await ask?.(use())) ?? last;
      heard(last);
    } catch {
      // The database is away: the last share stands, for the others are most likely still there.
    }
  }

  function schedule(inMs: number): void {
    if (ask === null || closed || timer !== null || asking !== null) return;
    timer = setTimeout(() => {
      timer = null;
      if (performance.now() - wantedAt > IDLE_MS) return;
      asking = renew().finally(() => {
        asking = null;
        schedule(EVERY_MS);
      });
    }, inMs);
    timer.unref();
  }

  return {
    share: () => last.share,
    replicas: () => last.replicas,
    wanted() {
      wantedAt = performance.now();
      schedule(wantedAt - askedAt > EVERY_MS ? 0 : EVERY_MS);
    },
    blocked() {
      wantedAt = performance.now();
      if (timer !== null) clearTimeout(timer);
      timer = null;
      schedule(AT_ONCE_MS);
    },
    async close() {
      closed = true;
      if (timer !== null) clearTimeout(timer);
      await asking;
    },
  };
}
