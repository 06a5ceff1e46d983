// Which files are still being written: one is taken when its size and time have stood still for a while.
import type { FoundFile } from "./find-files.ts";

export type Settling = {
  isSettled(file: FoundFile): boolean;
  /** Milliseconds until one of those that were seen to grow may have settled; null when there is none. */
  dueMs(): number | null;
};

// What is seen to grow and never again is forgotten, the oldest first.
const MOST_GROWING = 10_000;

export function openSettling(quietMs: number): Settling {
  const growing = new Map<string, { readonly size: number; readonly at: number; readonly since: number }>();
  return {
    isSettled({ path, byteSize, modifiedUs }) {
      const ageMs = Date.now() - modifiedUs / 1000;
      if (ageMs > quietMs) {
        growing.delete(path);
        return true;
      }
      // Written just now, or by a clock that is ahead: then only looking twice tells.
      const seen = growing.get(path);
      const now = performance.now();
      if (seen !== undefined && seen.size === byteSize && seen.at === modifiedUs) {
        if (now - seen.since < quietMs) return false;
        growing.delete(path);
        return true;
      }
      growing.delete(path);
      if (growing.size >= MOST_GROWING) growing.delete(growing.keys().next().value ?? "");
      growing.set(path, { size: byteSize, at: modifiedUs, since: now });
      return quietMs === 0;
    },
    dueMs() {
      if (growing.size === 0) return null;
      const now = performance.now();
      return Math.max(0, Math.min(...[...growing.values()].map(({ since }) => since + quietMs - now)));
    },
  };
}
