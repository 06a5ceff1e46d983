// Every event of the catalogue as one log line: its level and its constant sentence stand in one table.
import type { Activity } from "../activity/activity.ts";
import type { EventName, Events } from "../activity/catalogue.ts";
import { catalogue, type FailureCode } from "../failure/catalogue.ts";
import { type Log, terminalLine } from "./log.ts";
import { openTerminalLines, type TellTerminal } from "./terminal-lines.ts";

type LogLevel = "debug" | "info" | "warn" | "error";
type Entry<Name extends EventName> = {
  readonly level: LogLevel | ((facts: Events[Name]) => LogLevel);
  readonly message: string;
  /** A person follows progress; a log store would drown in it. */
  readonly terminalLevel?: LogLevel;
};

// error: someone should look. warn: we coped and it cost something. info: a job or the process changed state.
const entries: { readonly [Name in EventName]: Entry<Name> } = {
  "worker.started": { level: "info", message: "RAG worker ready. Polling for jobs…" },
  "worker.misconfigured": { level: "error", message: "worker misconfigured, no job can be done" },
  "worker.recovered": { level: "info", message: "worker recovered" },
  "worker.stopping": { level: "info", message: "worker stopping" },
  "worker.stopped": { level: "info", message: "worker stopped" },
  "database.lost": { level: "error", message: "database lost" },
  "database.regained": { level: "info", message: "database regained" },
  "bus.connected": { level: "info", message: "wake-up bus connected" },
  "bus.lost": { level: "warn", message: "wake-up bus lost, the queue is polled meanwhile" },
  "bus.regained": { level: "info", message: "wake-up bus regained" },
  "bus.deaf": { level: "warn", message: "wake-up bus delivers nothing, the queue is polled instead" },
  "leases.kept": { level: "debug", message: "leases kept" },
  "leases.late": { level: "warn", message: "leases renewed late, jobs may have been taken over" },
  "keeper.died": { level: "error", message: "lease keeper died" },
  "jobs.reaped": {
    level: (facts) => (facts.failed > 0 ? "warn" : "info"),
    message: "jobs of silent workers reaped",
  },
  "garbage.collected": { level: "debug", message: "garbage collected" },
  "job.claimed": { level: "info", message: "job claimed" },
  "job.measured": { level: "debug", message: "job measured", terminalLevel: "info" },
  "job.progressed": { level: "debug", message: "job progressed", terminalLevel: "info" },
  "job.completed": { level: "info", message: "job complete" },
  "job.retried": { level: (facts) => levelOf(facts.code), message: "job failed, it will be tried again" },
  "job.released": { level: "info", message: "job released, its attempt is not counted" },
  "job.failed": { level: (facts) => levelOf(facts.code), message: "job failed" },
  // `lease_lost` is what the database answers: one word to search for in both.
  "lease.lost": { level: "warn", message: "lease_lost: another worker owns the job, nothing was written" },
  "embeddings.received": { level: "debug", message: "embeddings received" },
  "embeddings.failed": { level: "warn", message: "embedding request failed" },
  "original.fetched": { level: "debug", message: "original fetched" },
  "segments.extracted": { level: "debug", message: "segments extracted" },
};

/** Logs what happens until the returned function is called. */
export function logActivity(activity: Activity, log: Log): () => void {
  const tell = log.terminal ? openTerminalLines() : null;
  return activity.listen((name, facts) => writeEvent(log, tell, name, facts));
}

function writeEvent<Name extends EventName>(
  log: Log,
  tell: TellTerminal | null,
  name: Name,
  facts: Events[Name],
): void {
  const entry: Entry<Name> = entries[name];
  const level = typeof entry.level === "function" ? entry.level(facts) : entry.level;
  const fields = { event: name, ...loggable(facts) };
  if (tell === null) {
    log[level](fields, entry.message);
    return;
  }
  const lines = tell(name, facts);
  const shown = entry.terminalLevel ?? level;
  if (lines === null) log[shown](fields, entry.message);
  else for (const line of lines) log[shown]({ ...fields, [terminalLine]: line }, entry.message);
}

/** The facts without the title, which is the user's, and with the failure under pino's name for errors. */
function loggable(facts: Events[EventName]): object {
  const { title: _, failure, ...rest } = { title: null, failure: undefined, ...facts };
  return failure === undefined ? rest : { ...rest, err: failure };
}

// A document that cannot succeed is its owner's matter; what nobody expected is ours.
function levelOf(code: string): LogLevel {
  return code in catalogue && catalogue[code as FailureCode].kind === "defect" ? "error" : "warn";
}
