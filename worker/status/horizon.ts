// Whether something keeps vacuum from removing the queue's dead rows, and whom to end. An old snapshot harms slowly
// and everywhere at once: each index scan of this database walks past every row that died since.
import { inWords } from "../timing/durations.ts";
import type { OldestSnapshot, QueueFigures } from "./queue-figures.ts";

/**
 * Held for so long it is news: a nightly dump or a report seldom takes longer, and ten minutes of a busy queue leave
 * some hundred thousand dead row versions.
 */
export const HELD_LONG_SECONDS = 600;
// Where next to nothing happened since, an old snapshot keeps next to nothing; a query that began just now in an old
// transaction looks the same.
const HELD_TRANSACTIONS = 1_000;
/** Vacuum comes long before that (at a fifth of a table); 100,000 cost a scan without a floor 16 ms. */
export const MANY_DEAD_ROWS = 100_000;

export type Horizon = { readonly held: boolean; readonly says: string };

/** In a sentence or two, with the statement that ends what holds vacuum back for long. */
export function judgeHorizon(figures: Pick<QueueFigures, "dead_rows" | "oldest_snapshot">): Horizon {
  const { dead_rows: dead, oldest_snapshot: holder } = figures;
  const many = dead >= MANY_DEAD_ROWS;
  const rows = `${dead} dead ${dead === 1 ? "row" : "rows"} in the queue`;
  if (holder === null)
    return many
      ? {
          held: true,
          says: `${rows}, and nobody holds them: vacuum does not keep up. Run: vacuum rag_ingestion_queue;`,
        }
      : { held: false, says: `Nobody keeps vacuum from its work; ${rows}.` };
  const since =
    holder.seconds === null
      ? "since when is not visible to this role"
      : `for ${inWords(holder.seconds * 1000)}`;
  const says = `${nameOf(holder)} holds vacuum back (${since}); ${rows}.`;
  const long = (holder.seconds ?? 0) >= HELD_LONG_SECONDS && holder.transactions >= HELD_TRANSACTIONS;
  return long || many ? { held: true, says: `${says} ${adviceOn(holder)}` } : { held: false, says };
}

function nameOf({ kind, pid, name, state }: OldestSnapshot): string {
  const quoted = name === null || name === "" ? "" : ` "${name}"`;
  if (kind === "prepared") return `The prepared transaction${quoted}`;
  if (kind === "slot") return `The replication slot${quoted} (${state})`;
  if (kind === "standby") return `The standby${quoted} (pid ${pid})`;
  return `Session ${pid}${quoted} (${state})`;
}

function adviceOn({ kind, pid, name }: OldestSnapshot): string {
  // A name goes into SQL that somebody will paste.
  const literal = `'${(name ?? "").replaceAll("'", "''")}'`;
  if (kind === "prepared") return `End it: commit prepared ${literal}; or: rollback prepared ${literal};`;
  if (kind === "slot")
    return `If nobody reads from it any more: select pg_drop_replication_slot(${literal});`;
  if (kind === "standby")
    return "End the long query on that standby, or switch hot_standby_feedback off there.";
  return `If it is forgotten, end it: select pg_terminate_backend(${pid});`;
}
