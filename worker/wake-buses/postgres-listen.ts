// Hints over LISTEN, on a session of the worker's own. The insert trigger notifies, so nobody has to publish.
// Behind a pooler that lends its connections for one transaction LISTEN succeeds and nothing ever arrives, so each
// new session first has to hear a notification that another one sent.
import { randomBytes } from "node:crypto";
import type { OpenSqlLine, SqlLine } from "../document/sql-line.ts";
import { Failure } from "../failure/failure.ts";
import { sleepInPieces } from "./sleep-in-pieces.ts";
import type { BusConnection, Hear } from "./wake-bus.ts";

export type ListenOptions = {
  readonly openLine: OpenSqlLine;
  readonly channel: string;
  readonly hear: Hear;
};

/** How long the trial notification may take; well below the time for a whole connection. */
const TRIAL_MS = 3000;

/** Throws `wake.deaf` when notifications do not arrive, `database.*` when there is no session. */
export async function connectListen(options: ListenOptions, signal: AbortSignal): Promise<BusConnection> {
  const trial = `rag_trial_${randomBytes(8).toString("hex")}`;
  const heard = new AbortController();
  const line = await options.openLine((channel, payload) => {
    if (channel === options.channel) options.hear(payload);
    else if (channel === trial) heard.abort();
  }, signal);
  const cut = () => line.close();
  signal.addEventListener("abort", cut, { once: true });
  try {
    const isPooled = await servedByAnother(line);
    // A channel of its own: what a pooled connection goes on listening to afterwards is never notified again.
    await line.query(`listen "${trial}"`);
    await notifyFromElsewhere(options.openLine, trial, signal);
    // No query meanwhile: a pooler delivers to whoever holds the server's connection just then.
    await sleepInPieces(TRIAL_MS, AbortSignal.any([heard.signal, signal]));
    signal.throwIfAborted();
    if (!heard.signal.aborted) throw deaf(isPooled);
    await line.query(`unlisten "${trial}"`);
    await line.query(`listen ${quoted(options.channel)}`);
  } catch (thrown) {
    line.close();
    throw signal.aborted ? signal.reason : thrown;
  } finally {
    signal.removeEventListener("abort", cut);
  }
  return {
    lost: line.gone.then(() => new Failure("wake.unreachable", { says: "The LISTEN session has ended." })),
    probe: () => line.query("select 1"),
    async close() {
      line.close();
    },
  };
}

/** Whether another process answers than the one that greeted us: a pooler stands in between. */
async function servedByAnother(line: SqlLine): Promise<boolean> {
  const [row] = await line.query("select pg_backend_pid() as pid");
  return line.greetedBy !== null && row?.pid !== line.greetedBy;
}

async function notifyFromElsewhere(
  openLine: OpenSqlLine,
  channel: string,
  signal: AbortSignal,
): Promise<void> {
  const other = await openLine(() => {}, signal);
  try {
    await other.query("select pg_notify($1, '')", [channel]);
  } finally {
    other.close();
  }
}

const deaf = (isPooled: boolean) =>
  new Failure("wake.deaf", {
    says: isPooled
      ? "A pooler in transaction mode stands between the worker and the database, and keeps notifications from it."
      : "A trial notification did not arrive.",
    facts: { bus: "postgres" },
  });

/** As Postgres quotes a name, so that its case and every character count. */
const quoted = (name: string) => `"${name.replaceAll('"', '""')}"`;
