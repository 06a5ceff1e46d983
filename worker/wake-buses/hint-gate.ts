// Turns hints into wake-ups: the first at once, for it may be all that a job waits for, and what follows within
// some milliseconds as one more behind it. The one behind is needed: the look that the first one set off may
// have been over before the later job was committed.
import { isHint } from "./read-hint.ts";
import type { Hear, WakeBusCounters } from "./wake-bus.ts";

export type HintGate = {
  readonly hear: Hear;
  /** Without a hint: there may be jobs of which we missed the news. */
  wake(): void;
  counters(): Omit<WakeBusCounters, "reconnects">;
  /** Nobody is woken after this. */
  close(): void;
};

/** While hints do not end the pause between two wake-ups doubles: a flood is twenty looks a second, no more. */
const PAUSE = { firstMs: 5, mostMs: 50 };

export function openHintGate(onHint: () => void): HintGate {
  const counts = { received: 0, malformed: 0, coalesced: 0 };
  let closed = false;
  let pauseMs = PAUSE.firstMs;
  let pause: NodeJS.Timeout | null = null;
  let isOwed = false;

  const wake = () => {
    if (closed) return;
    if (pause !== null) {
      isOwed = true;
      return;
    }
    pause = setTimeout(endPause, pauseMs);
    onHint();
  };
  const endPause = () => {
    pause = null;
    pauseMs = isOwed ? Math.min(pauseMs * 2, PAUSE.mostMs) : PAUSE.firstMs;
    if (!isOwed) return;
    isOwed = false;
    wake();
  };
  return {
    hear(payload) {
      counts.received += 1;
      // Whatever it says, we are going to look: in a flood nothing is parsed.
      if (isOwed) counts.coalesced += 1;
      else if (!isHint(payload)) counts.malformed += 1;
      else {
        if (pause !== null) counts.coalesced += 1;
        wake();
      }
    },
    wake,
    counters: () => ({ ...counts }),
    close() {
      closed = true;
      if (pause !== null) clearTimeout(pause);
    },
  };
}
