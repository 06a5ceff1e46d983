// Ends a step that makes no progress: every sign of life moves the deadline.

export type StallWatch = {
  /** A sign of life. */
  readonly touch: () => void;
  readonly stop: () => void;
};

/** Calls `stalled` once when `touch` was not called for `limitMs`. */
export function watchForStall(limitMs: number, stalled: () => void): StallWatch {
  let last = performance.now();
  // Looking now and then costs less than moving a timer at every sign of life.
  const timer = setInterval(
    () => {
      if (performance.now() - last < limitMs) return;
      clearInterval(timer);
      stalled();
    },
    Math.min(1000, Math.ceil(limitMs / 4)),
  );
  timer.unref();
  return {
    touch: () => {
      last = performance.now();
    },
    stop: () => clearInterval(timer),
  };
}
