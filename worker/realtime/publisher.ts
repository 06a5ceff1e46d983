// Who takes events away from here. Returns at once and never throws: no job waits for a reader.
import type { RealtimeEvent } from "./event.ts";

export type Publisher = {
  publish(event: RealtimeEvent, jobId: string): void;
  /** Events that had no room while the server was away or slow. */
  dropped(): number;
  /** Sends what waits, for a second at most. */
  close(): Promise<void>;
};
