// Holds an advisory lock on a session of its own for as long as the process lives: other replicas see within a second
// that it is gone. Only where the session is truly ours; behind a pooler the lease alone tells who lives.
import type { OpenSqlLine, SqlLine } from "../document/sql-line.ts";
import { sleep } from "../timing/durations.ts";

// Another replica takes us for dead when the lock is missing for half a second.
const AGAIN_MS = 200;
const LONGEST_PAUSE_MS = 10_000;
// A pooler stays a pooler.
const POOLED_PAUSE_MS = 60_000;

/** `tried` is called once, after the first attempt. Resolves when the signal has fired and the session is closed. */
export async function keepSessionLock(
  openLine: OpenSqlLine,
  worker: { readonly workerId: string; readonly leaseSeconds: number },
  tried: () => void,
  signal: AbortSignal,
): Promise<void> {
  let pauseMs = AGAIN_MS;
  while (!signal.aborted) {
    let line: SqlLine | null = null;
    try {
      line = await openLine(() => {}, signal);
      const held = await takeLock(line, worker);
      tried();
      if (held === "held") {
        pauseMs = AGAIN_MS;
        await Promise.race([line.gone, whenAborted(signal)]);
      } else {
        pauseMs = held === "pooled" ? POOLED_PAUSE_MS : AGAIN_MS;
      }
    } catch {
      // The claim loop tells when the database is away.
      tried();
      pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
    }
    line?.close();
    await sleep(pauseMs, signal);
  }
}

async function takeLock(
  line: SqlLine,
  { workerId, leaseSeconds }: { readonly workerId: string; readonly leaseSeconds: number },
): Promise<"held" | "taken" | "pooled"> {
  const [greeted] = await line.query("select pg_catalog.pg_backend_pid() as pid");
  if (greeted?.pid !== line.greetedBy) return "pooled";
  const [answer] = await line.query("select public.rag_watch_session($1, $2, $3) as held", [
    workerId,
    String(leaseSeconds),
    String(line.greetedBy),
  ]);
  return answer?.held === true ? "held" : "taken";
}

function whenAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
