// Asks for a sync job whenever one is due. Every replica asks; the database makes one job of it for each interval.
import { z } from "zod";
import type { SqlCall } from "../document/sql-call.ts";
import { sleep } from "../timing/durations.ts";

export type SyncInterval = { readonly syncIntervalMinutes: number; readonly syncRepair: boolean };

// A tenth of the interval, and not all replicas in the same second.
const ASKS_AN_INTERVAL = 10;
const MOST_MS = 15 * 60_000;

const answer = z.object({ state: z.enum(["queued", "duplicate", "under_way"]) });

/** Ends when the returned function is called. `asked` is told what the database made of it. */
export function startSyncInterval(
  call: SqlCall,
  { syncIntervalMinutes: minutes, syncRepair }: SyncInterval,
  asked: (state: string) => void = () => {},
): () => Promise<void> {
  const stopping = new AbortController();
  const loop = async () => {
    while (minutes > 0 && !stopping.signal.aborted) {
      try {
        const { state } = answer.parse(
          await call("rag_enqueue_due_sync", { p_minutes: minutes, p_repair: syncRepair }),
        );
        asked(state);
      } catch {
        // The claim loop tells when the database is away.
      }
      const pauseMs = Math.min(MOST_MS, (minutes * 60_000) / ASKS_AN_INTERVAL);
      await sleep(pauseMs * (0.75 + Math.random() / 2), stopping.signal);
    }
  };
  const running = loop();
  return async () => {
    stopping.abort();
    await running;
  };
}
