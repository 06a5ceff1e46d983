// What each transition may charge: a claim one attempt, a release gives it back, a crash leaves it spent.
import { type Act, actOf, group } from "./acts.ts";
import type { History, JobEntry } from "./history.ts";
import type { Violation } from "./violation.ts";

const gaveBack: ReadonlySet<Act> = new Set<Act>(["release", "orphan", "retire"]);

export function checkAttempts(history: History): readonly Violation[] {
  const jobs = group(
    history.filter((entry) => entry.kind === "job"),
    (entry) => entry.job_id,
  );
  return [...jobs.values()].flatMap((entries) => {
    const found: Violation[] = [];
    let attempts = 0;
    for (const entry of entries) {
      const right = rightAttempts(entry, attempts);
      if (entry.from_attempts !== attempts || entry.to_attempts !== right) {
        const act = `${actOf(entry)} (${entry.from ?? "nothing"} to ${entry.to})`;
        const says = `After ${act} attempts must be ${right}, from ${attempts}; they were ${entry.to_attempts}, from ${entry.from_attempts}.`;
        found.push({ rule: "wrong-attempts", subject: entry.job_id, says, seq: entry.seq });
      }
      attempts = entry.to_attempts;
    }
    return found;
  });
}

function rightAttempts(entry: JobEntry, attempts: number): number {
  const act = actOf(entry);
  if (act === "claim") return attempts + 1;
  if (act === "requeue") return 0;
  if (gaveBack.has(act)) return Math.max(attempts - 1, 0);
  // Whoever makes a job wait again leaves it one attempt.
  return entry.to === "queued" ? Math.min(attempts, entry.max_attempts - 1) : attempts;
}
