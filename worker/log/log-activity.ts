// Every event of the catalogue as one log line: its level and its constant sentence stand in one table.
import type { Activity } from "../activity/activity.ts";
import type { EventName, Events } from "../activity/catalogue.ts";
import { catalogue, type FailureCode } from "../failure/catalogue.ts";
import { type Log, terminalLine } from "./log.ts";
import { openTerminalLines, type TellTerminal } from "./terminal-lines.ts";

type LogLevel = "trace" | "debug" | "info" | "warn" | "error";
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
  "ingress.connected": { level: "info", message: "messages are taken" },
  "ingress.lost": { level: "warn", message: "message server lost, what it keeps is taken when it is back" },
  "ingress.regained": { level: "info", message: "message server regained" },
  "message.accepted": { level: "debug", message: "message accepted" },
  "message.buried": { level: "warn", message: "message buried, it cannot become a job" },
  "message.lost": { level: "error", message: "messages lost, nobody keeps those on plain subjects" },
  "root.scanned": { level: (facts) => scanLevel(facts), message: "document root looked through" },
  "root.refused": { level: "error", message: "document root not looked through" },
  "realtime.connected": { level: "info", message: "events go out" },
  "realtime.lost": { level: "warn", message: "events do not go out, jobs go on" },
  "realtime.regained": { level: "info", message: "events go out again" },
  "gateway.dropped": { level: "info", message: "socket dropped" },
  "leases.kept": { level: "debug", message: "leases kept" },
  "leases.late": { level: "warn", message: "leases renewed late, jobs may have been taken over" },
  "keeper.died": { level: "error", message: "lease keeper died" },
  "jobs.reaped": {
    level: (facts) => (facts.failed > 0 ? "warn" : "info"),
    message: "jobs of silent workers reaped",
  },
  "vectors.indexed": { level: "info", message: "vectors indexed" },
  "integrity.found": { level: "warn", message: "found something wrong in what is stored" },
  "integrity.repaired": { level: "info", message: "repaired" },
  "sync.completed": {
    level: (facts) => (facts.findings > facts.repaired ? "warn" : "info"),
    message: "looked through what is stored",
  },
  "garbage.collected": { level: "debug", message: "garbage collected" },
  "job.claimed": { level: "info", message: "job claimed" },
  "document.related": { level: "debug", message: "document related to others" },
  "step.ended": { level: "trace", message: "step ended" },
  "request.ended": { level: "trace", message: "request ended" },
  "job.measured": { level: "debug", message: "job measured", terminalLevel: "info" },
  "job.progressed": { level: "debug", message: "job progressed", terminalLevel: "info" },
  "job.completed": { level: "info", message: "job complete" },
  "job.retried": { level: (facts) => levelOf(facts.code), message: "job failed, it will be tried again" },
  "job.released": { level: "info", message: "job released, its attempt is not counted" },
  "job.failed": { level: (facts) => levelOf(facts.code), message: "job failed" },
  // `lease_lost` is what the database answers: one word to search for in both.
  "lease.lost": { level: "warn", message: "lease_lost: another worker owns the job, nothing was written" },
  "embeddings.received": { level: "debug", message: "embeddings received" },
  "requests.held": { level: "debug", message: "texts waited for the embedding provider's pace" },
  "spans.exported": { level: "trace", message: "spans exported" },
  "traces.lost": { level: "warn", message: "traces do not go out, jobs go on" },
  "traces.regained": { level: "info", message: "traces go out again" },
  "batch.ended": { level: "info", message: "batch ended" },
  "embeddings.failed": { level: "warn", message: "embedding request failed" },
  "analysis.answered": {
    level: (facts) => (facts.code === "" ? "debug" : "warn"),
    message: "analysis answered",
  },
  "analysis.failed": { level: "warn", message: "analysis request failed" },
  "analysis.uncached": { level: "warn", message: "prompt cache not hit, each request pays for all of it" },
  "group.analysed": { level: "debug", message: "group of segments analysed", terminalLevel: "info" },
  "llama.started": { level: "info", message: "llama-server started" },
  "llama.stopped": { level: "info", message: "llama-server stopped" },
  "llama.died": { level: "warn", message: "llama-server died, its texts are sent to the next one" },
  "llama.not-started": { level: "warn", message: "llama-server not started" },
  "chunk.rejected": { level: "warn", message: "chunk refused by the embedding provider" },
  "provider.away": { level: "warn", message: "embedding provider away, its circuit is open" },
  "provider.back": { level: "info", message: "embedding provider is back" },
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

/** The facts without the title and the user, and with the failure under pino's name for errors. */
function loggable(facts: Events[EventName]): object {
  const {
    title: _,
    userId: __,
    failure,
    ...rest
  } = { title: null, userId: null, failure: undefined, ...facts };
  return failure === undefined ? rest : { ...rest, err: failure };
}

// A document that cannot succeed is its owner's matter; what nobody expected is ours.
function levelOf(code: string): LogLevel {
  return code in catalogue && catalogue[code as FailureCode].kind === "defect" ? "error" : "warn";
}

/** A look that found nothing to do is no news. */
const scanLevel = ({ enqueued, moved, deleted, failed }: Events["root.scanned"]): LogLevel =>
  failed > 0 ? "warn" : enqueued + moved + deleted > 0 ? "info" : "debug";
