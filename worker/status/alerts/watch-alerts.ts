// Looks four times a minute whether something deserves an alert. The database knows what has been told and gives
// each notice to one replica; what fails here is a line in the log, and no job waits for it.
import { z } from "zod";
import type { SqlCall } from "../../document/sql-call.ts";
import type { Log } from "../../log/log.ts";
import { withoutCredentials } from "../../log/redact.ts";
import type { WorkerState } from "../../queue/worker-state.ts";
import { within } from "../../timing/durations.ts";
import { operatorSays } from "../health.ts";
import type { Channel, Message } from "./channels.ts";

export type AlertLimits = {
  /** A job at work for longer is one to look at, in seconds. */
  readonly jobSeconds: number;
  /** A job that could be taken and waits for longer, in seconds. */
  readonly queueSeconds: number;
  readonly budgetUsd: number | null;
};

export type AlertOptions = {
  readonly call: SqlCall;
  readonly log: Log;
  readonly state: () => WorkerState;
  readonly channels: readonly Channel[];
  readonly limits: AlertLimits;
  /** Where the dashboard is seen from outside. */
  readonly publicUrl: string | null;
  readonly everyMs?: number;
};

const EVERY_MS = 15_000;
// The first look says from when on failures count: those of a worker's first seconds do too.
const FIRST_MS = 500;
const STOP_MS = 500;

const notices = z.array(
  z.object({ name: z.string(), state: z.enum(["firing", "resolved"]), says: z.string() }),
);

/** Watches until it is stopped; a message that is on its way is not waited for longer than half a second. */
export function watchAlerts(options: AlertOptions): { stop(): Promise<void> } {
  let timer: NodeJS.Timeout | null = null;
  let stopped = false;
  let looking: Promise<void> = Promise.resolve();
  const everyMs = options.everyMs ?? EVERY_MS;
  const againIn = (ms: number) => {
    if (stopped) return;
    timer = setTimeout(() => {
      if (options.state().workerId === "") return againIn(ms); // It is still starting.
      looking = look(options)
        .catch((err: unknown) => options.log.warn({ err }, "alerts could not be watched"))
        .finally(() => againIn(everyMs));
    }, ms);
    timer.unref();
  };
  if (options.channels.length > 0) againIn(Math.min(FIRST_MS, everyMs));
  return {
    async stop() {
      stopped = true;
      if (timer !== null) clearTimeout(timer);
      await within(STOP_MS, looking);
    },
  };
}

async function look({ call, log, state, channels, limits, publicUrl }: AlertOptions): Promise<void> {
  const { workerId } = state();
  const due = notices.parse(
    await call("rag_watch_alerts", {
      p_worker: workerId,
      p_seen: seenOf(state()),
      p_limits: {
        job_seconds: limits.jobSeconds,
        queue_seconds: limits.queueSeconds,
        budget_usd: limits.budgetUsd,
      },
    }),
  );
  if (due.length === 0) return;
  const sent = await sendToAll(channels, { notices: due, link: linkOf(publicUrl) }, log);
  await call("rag_confirm_alerts", { p_worker: workerId, p_sent: sent });
}

/** Whether one channel at least took it: sent again, it would be double there. */
async function sendToAll(channels: readonly Channel[], message: Message, log: Log): Promise<boolean> {
  const taken = await Promise.all(
    channels.map(async ({ name, send }) => {
      try {
        await send(message);
        return true;
      } catch (thrown) {
        log.warn({ channel: name, reason: thrown instanceof Error ? thrown.message : "" }, "alert not sent");
        return false;
      }
    }),
  );
  return taken.includes(true);
}

/** What only the replica itself knows. */
function seenOf({ condition, code, pacing }: WorkerState): readonly { name: string; says: string }[] {
  const misconfigured = condition === "misconfigured" && code !== null;
  const away = pacing?.limited === "circuit";
  return [
    ...(misconfigured ? [{ name: "configuration", says: operatorSays(code) }] : []),
    ...(away
      ? [{ name: "provider", says: `${pacing.provider}: ${operatorSays("embed.circuit-open")}` }]
      : []),
  ];
}

/** Without user, password and query: whoever reads the alert is not whoever may sign in. */
export const linkOf = (publicUrl: string | null) =>
  publicUrl && `${withoutCredentials(publicUrl).replace(/\/+$/, "")}/`;
