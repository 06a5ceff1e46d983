// Nobody is robbed: a job is taken from its worker only when the lease that the database's clock measures has
// run out, or when the worker's session, where it had one, has ended. It does not trust the times that the
// queue stores, but counts from the claims and signs of life themselves: a lease that another clock computed
// looks right in the row.
import { actOf } from "./acts.ts";
import type { History } from "./history.ts";
import type { RunFacts, Violation } from "./violation.ts";

export function checkLeases(history: History, { leaseMs }: RunFacts): readonly Violation[] {
  const found: Violation[] = [];
  const onSession = new Set<string>();
  const claimedAt = new Map<string, number>();
  for (const entry of history) {
    if (entry.kind === "alive" && entry.session) onSession.add(entry.worker_id);
    if (entry.kind !== "job") continue;
    if (entry.to === "processing") claimedAt.set(entry.job_id, entry.txAt);
    if (entry.from !== "processing" || actOf(entry) !== "rescue") continue;
    // A worker on a session whose session is gone is dead, or as good as.
    if (onSession.has(entry.from_worker ?? "") && entry.watched === false) continue;
    const heldUntil = Math.max(claimedAt.get(entry.job_id) ?? 0, entry.alive_at ?? 0) + leaseMs;
    if (entry.txAt >= heldUntil) continue;
    const says = `It was taken from ${entry.from_worker} with ${Math.round(heldUntil - entry.txAt)} ms of its lease left.`;
    found.push({ rule: "early-rescue", subject: entry.job_id, says, seq: entry.seq });
  }
  return found;
}
