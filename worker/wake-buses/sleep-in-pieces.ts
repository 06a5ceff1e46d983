// Waiting for an answer on a thread that a parser may hold for seconds. One long timer would be over before the
// answer that already lies there is read, for timers come first; so it waits in pieces, and reads between them.
import { sleep } from "../timing/durations.ts";

const PIECES = 5;

/** Waits, or returns early when the signal fires. Never throws. */
export async function sleepInPieces(ms: number, signal: AbortSignal): Promise<void> {
  for (let piece = 0; piece < PIECES && !signal.aborted; piece += 1) await sleep(ms / PIECES, signal);
}
