// One clock for all processes of a bench: the machine's monotonic one, which nobody sets while we measure.

/** Milliseconds since the machine started; comparable between processes, unlike performance.now(). */
export const monotonicMs = (): number => Number(process.hrtime.bigint()) / 1e6;
