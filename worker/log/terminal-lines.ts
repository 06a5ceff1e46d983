// What a person at a terminal reads of each event, so that one job can be followed from claim to end.
// A document's title is for these lines alone: it is the user's, and JSON logs travel far.
import type { EventName, Events } from "../activity/catalogue.ts";
import { inWords } from "../timing/durations.ts";

type Claimed = Events["job.claimed"];
type TellLines = {
  readonly [Name in EventName]?: (facts: Events[Name]) => string | readonly string[] | null;
};

export type TellTerminal = <Name extends EventName>(
  name: Name,
  facts: Events[Name],
) => readonly string[] | null;

// A job that never ends in our sight (its event was missed) must not stay in memory for ever.
const MOST_UNANNOUNCED = 1_000;
const LONGEST_TITLE = 80;

/**
 * The function that turns an event into the terminal's lines: null when the event has no words of its own
 * (its JSON sentence and facts are printed), [] when there is nothing to print.
 */
export function openTerminalLines(): TellTerminal {
  // A job is announced once its size is known, or with the first thing that happens before that.
  const unannounced = new Map<string, Claimed>();
  const announce = (jobId: string, segments: number | null): string[] => {
    const claimed = unannounced.get(jobId);
    unannounced.delete(jobId);
    return claimed === undefined ? [] : [announcementOf(claimed, segments)];
  };
  const after = (jobId: string, line: string): string[] => [...announce(jobId, null), line];

  const lines: TellLines = {
    "worker.started": (facts) =>
      `RAG worker ready. Polling for jobs…   database=${facts.database} provider=${facts.provider} http=${facts.http ?? "off"}`,
    "job.claimed": (facts) => {
      if (facts.kind !== "document" || unannounced.size >= MOST_UNANNOUNCED)
        return announcementOf(facts, null);
      unannounced.set(facts.jobId, facts);
      return [];
    },
    "job.measured": (facts) => announce(facts.jobId, facts.segments),
    "job.progressed": (facts) => after(facts.jobId, progressOf(facts)),
    "group.analysed": (facts) =>
      after(
        facts.jobId,
        `${jobOf(facts)}  group ${facts.done}/${facts.done + facts.left} analysed${facts.code === "" ? "" : `: ${facts.code}`}`,
      ),
    "job.completed": (facts) => after(facts.jobId, completionOf(facts)),
    "job.failed": (facts) => after(facts.jobId, `${jobOf(facts)}  failed: ${facts.code}: ${facts.detail}`),
    "job.retried": (facts) =>
      after(facts.jobId, `${jobOf(facts)}  try ${facts.attempt} failed: ${facts.code}: ${facts.detail}`),
    "job.released": (facts) =>
      after(facts.jobId, `${jobOf(facts)}  back in the queue${waitOf(facts.delayMs)}: ${facts.code}`),
    "lease.lost": (facts) =>
      after(facts.jobId, `${jobOf(facts)}  lease_lost: another worker owns it; nothing was written`),
    "worker.misconfigured": (facts) => `cannot work: ${facts.code}: ${facts.advice}`,
    "worker.recovered": (facts) => `working again after ${inWords(facts.afterMs)}`,
    "worker.stopping": (facts) => `stopping (${facts.signal}): ${count(facts.jobs, "job")} at work`,
    "worker.stopped": (facts) =>
      `stopped after ${inWords(facts.seconds * 1000)}  ${count(facts.released, "job")} released`,
    "database.lost": (facts) => `database lost: ${facts.code}: ${facts.advice}`,
    "database.regained": (facts) => `database is back after ${inWords(facts.afterMs)}`,
    "bus.lost": (facts) => `no wake-ups from ${facts.bus}: ${facts.advice}`,
    "bus.regained": (facts) => `wake-ups from ${facts.bus} are back after ${inWords(facts.afterMs)}`,
    "bus.deaf": (facts) => `no wake-ups from ${facts.bus}: ${facts.advice}`,
  };

  return (name, facts) => {
    const told = lines[name]?.(facts);
    if (told === undefined || told === null) return null;
    return typeof told === "string" ? [told] : told;
  };
}

/** `job 6f2c…  transcript "Weekly sync"  version H-1  52 segments` */
function announcementOf(claimed: Claimed, segments: number | null): string {
  const what = claimed.documentKind ?? claimed.kind;
  const title = claimed.title === null ? "" : ` "${shorten(claimed.title)}"`;
  return [
    jobOf(claimed),
    what + title,
    claimed.version === null ? null : `version ${shorten(claimed.version)}`,
    claimed.attempt > 1 ? `try ${claimed.attempt}` : null,
    segments === null ? null : count(segments, "segment"),
  ]
    .filter((part) => part !== null)
    .join("  ");
}

function progressOf(facts: Events["job.progressed"]): string {
  const where =
    facts.processedSegments > 0
      ? `segment ${ofTotal(facts.processedSegments, facts.totalSegments)}`
      : `chunk ${ofTotal(facts.processedChunks, facts.totalChunks)}`;
  const done = facts.stored === 0 ? "was there already" : `embedded (${count(facts.stored, "chunk")})`;
  return `${jobOf(facts)}  ${where} ${done}`;
}

function completionOf(facts: Events["job.completed"]): string {
  const figures = facts.unchanged
    ? ["unchanged", count(facts.chunks, "chunk")]
    : [
        count(facts.chunks, "chunk"),
        `${facts.reused} reused`,
        ...(facts.rejected > 0 ? [`${facts.rejected} left out`] : []),
      ];
  const cost = costInWords(facts.costUsd);
  return `${jobOf(facts)}  complete in ${inWords(facts.durationMs)}  ${[...figures, ...(cost ? [cost] : [])].join(", ")}`;
}

/** `0.4 ¢`, `$1.20`; null when nothing was paid or nobody knows the price. */
export function costInWords(usd: number | null): string | null {
  if (usd === null || usd <= 0) return null;
  const cents = usd * 100;
  if (cents >= 100) return `$${usd.toFixed(2)}`;
  if (cents < 0.01) return "less than 0.01 ¢";
  return `${Number(cents.toPrecision(2))} ¢`;
}

const jobOf = (facts: { readonly jobId: string }) => `job ${facts.jobId.slice(0, 4)}…`;
const count = (many: number, what: string) => `${many} ${what}${many === 1 ? "" : "s"}`;
const ofTotal = (done: number, total: number | null) => (total === null ? `${done}` : `${done}/${total}`);
const waitOf = (ms: number) => (ms < 1000 ? "" : ` for ${inWords(ms)}`);
const shorten = (text: string) => (text.length > LONGEST_TITLE ? `${text.slice(0, LONGEST_TITLE)}…` : text);
