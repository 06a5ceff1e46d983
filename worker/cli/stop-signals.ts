// SIGINT and SIGTERM: the first asks to stop, the second ends the process at once.
import { Failure } from "../failure/failure.ts";
import { exitCodes } from "./command.ts";

/**
 * Runs `work` with a signal that fires at the first SIGINT or SIGTERM; `onStop` is told which it was.
 * What the second one leaves behind is a crash's: leases run out and the jobs go on elsewhere.
 */
export async function untilStopped<Result>(
  work: (signal: AbortSignal) => Promise<Result>,
  onStop: (name: NodeJS.Signals) => void,
): Promise<Result> {
  const stop = new AbortController();
  const listen = (name: NodeJS.Signals) => {
    if (stop.signal.aborted) process.exit(exitCodes.someFailed);
    onStop(name);
    stop.abort(new Failure("worker.stopping"));
  };
  process.on("SIGINT", listen);
  process.on("SIGTERM", listen);
  try {
    return await work(stop.signal);
  } finally {
    process.off("SIGINT", listen);
    process.off("SIGTERM", listen);
  }
}
