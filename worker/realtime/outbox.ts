// Events on their way to a server that may be slow or away. Bounded: of one job only the newest progress waits, and
// when there are too many events at all the oldest progress goes first. What is lost here, a client finds by query.
import type { RealtimeEvent } from "./event.ts";

export type Outgoing = RealtimeEvent & { readonly jobId: string };

export type Outbox = {
  put(event: RealtimeEvent, jobId: string): void;
  /** Up to so many, in order; they are gone from here. */
  take(most: number): readonly Outgoing[];
  /** What was taken and could not be sent: before everything that came since, unless newer progress did. */
  putBack(events: readonly Outgoing[]): void;
  size(): number;
  dropped(): number;
};

const MOST_WAITING = 10_000;

export function openOutbox(onPut: () => void, most = MOST_WAITING): Outbox {
  // In order of putting. Progress of a job has a key of its own, so that a newer one takes its place at the end.
  let waiting = new Map<string, Outgoing>();
  let count = 0;
  let dropped = 0;
  const keyOf = ({ type }: RealtimeEvent, jobId: string) => {
    count += 1;
    return type === "job.progress" ? `progress ${jobId}` : String(count);
  };
  return {
    put(event, jobId) {
      const key = keyOf(event, jobId);
      waiting.delete(key);
      if (waiting.size >= most) {
        dropped += 1;
        const oldest =
          [...waiting.keys()].find((one) => one.startsWith("progress ")) ?? waiting.keys().next().value;
        if (oldest !== undefined) waiting.delete(oldest);
      }
      waiting.set(key, { ...event, jobId });
      onPut();
    },
    take(wanted) {
      const taken: Outgoing[] = [];
      for (const [key, event] of waiting) {
        if (taken.length >= wanted) break;
        waiting.delete(key);
        taken.push(event);
      }
      return taken;
    },
    putBack(events) {
      const former = events.map((event) => [keyOf(event, event.jobId), event] as const);
      const still = former.filter(([key]) => !waiting.has(key)).slice(0, most - waiting.size);
      dropped += former.length - still.length;
      waiting = new Map([...still, ...waiting]);
    },
    size: () => waiting.size,
    dropped: () => dropped,
  };
}
