// How everything must have ended: every job at an end that somebody meant, every document with one whole
// version, the newest that was completed, equal to what an undisturbed run makes of it.
import { group } from "./acts.ts";
import type { History, LiveEntry } from "./history.ts";
import type { Outcome, Upload } from "./outcome.ts";
import type { Violation } from "./violation.ts";

type Row = Outcome["jobs"][number];

export function checkOutcome(history: History, outcome: Outcome): readonly Violation[] {
  const uploads = group(outcome.uploads, (upload) => upload.documentId);
  const switches = group(
    history.filter((entry) => entry.kind === "live"),
    (entry) => entry.document_id,
  );
  return [
    ...checkJobs(history, outcome, uploads),
    ...outcome.documents.flatMap((document) => {
      const versions = uploads.get(document.id) ?? [];
      return [
        ...checkSwitches(switches.get(document.id) ?? [], versions),
        ...checkDocument(document, versions, outcome),
      ];
    }),
  ];
}

function checkJobs(
  history: History,
  outcome: Outcome,
  uploads: ReadonlyMap<string, readonly Upload[]>,
): readonly Violation[] {
  const rows = new Map(outcome.jobs.map((row) => [row.id, row]));
  const attempts = new Map<string, number>();
  for (const entry of history) if (entry.kind === "job") attempts.set(entry.job_id, entry.to_attempts);
  return outcome.uploads.flatMap((upload): Violation[] => {
    const row = rows.get(upload.jobId);
    const wrong = (rule: Violation["rule"], says: string): Violation[] => [
      { rule, subject: upload.jobId, says, seq: null },
    ];
    if (row === undefined) return wrong("lost-job", "Its row is gone.");
    if (attempts.get(row.id) !== row.attempts)
      return wrong(
        "wrong-attempts",
        `It ends with ${row.attempts}, its history with ${attempts.get(row.id)}.`,
      );
    const newer = (uploads.get(upload.documentId) ?? []).some((other) => other.version > upload.version);
    if (endsWell(row, upload, newer)) return [];
    return wrong(
      "lost-job",
      `It ended ${row.status} (${row.error_code}: ${row.error_detail}); it was meant to be ${upload.fate}.`,
    );
  });
}

function endsWell(row: Row, upload: Upload, newer: boolean): boolean {
  switch (row.status) {
    case "queued":
    case "processing":
      return false;
    case "cancelled":
      return upload.cancelled || newer;
    case "complete":
      // A poisoned text may have been replaced before it was read.
      return upload.fate !== "poison" || newer;
    case "failed":
      if (upload.fate === "poison") return row.error_code === "embed.input-rejected";
      return upload.fate === "fragile" && row.attempts === row.max_attempts;
  }
}

/** Each switch goes to a higher generation and shows one whole version, never an older one than before. */
function checkSwitches(switches: readonly LiveEntry[], versions: readonly Upload[]): readonly Violation[] {
  const found: Violation[] = [];
  let shown = 0;
  let generation: number | null = null;
  for (const entry of switches) {
    const wrong = (says: string) =>
      found.push({ rule: "wrong-live", subject: entry.document_id, says, seq: entry.seq });
    if (entry.from !== generation || entry.to === null || entry.to <= (generation ?? 0))
      wrong(`The live generation went from ${entry.from} to ${entry.to}; it had been ${generation}.`);
    generation = entry.to;
    const version = versionOf(entry.digest, versions);
    if (version === null) wrong(`Generation ${entry.to} is no version that was uploaded.`);
    else if (version < shown) wrong(`Version ${version} went live after version ${shown}.`);
    shown = Math.max(shown, version ?? 0);
  }
  return found;
}

function checkDocument(
  document: Outcome["documents"][number],
  versions: readonly Upload[],
  outcome: Outcome,
): readonly Violation[] {
  const wrong = (says: string): Violation[] => [
    { rule: "wrong-live", subject: document.id, says, seq: null },
  ];
  const expected = document.live_generation === null ? [] : [document.live_generation];
  if (document.live.join() !== expected.join())
    return wrong(`Live generations are [${document.live.join()}]; readers see ${document.live_generation}.`);
  const complete = new Set(outcome.jobs.filter((row) => row.status === "complete").map((row) => row.id));
  const due = Math.max(
    0,
    ...versions.filter((upload) => complete.has(upload.jobId)).map((upload) => upload.version),
  );
  if (document.live_generation === null)
    return due === 0 ? [] : wrong(`Version ${due} was completed and nothing is live.`);
  const version = versionOf(document.digest, versions);
  if (version === null) return wrong("What readers see is no version that was uploaded.");
  return version >= due ? [] : wrong(`Readers see version ${version}; version ${due} was completed.`);
}

/** The newest version with that content; null when there is none. */
function versionOf(digest: string | null, versions: readonly Upload[]): number | null {
  const found = versions.filter((upload) => upload.digest !== null && upload.digest === digest);
  return found.length === 0 ? null : Math.max(...found.map((upload) => upload.version));
}
