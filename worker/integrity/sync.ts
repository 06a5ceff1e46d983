// One look through what is stored, and the repair of what it finds. Says everything as it goes; keeps only counts.
import { z } from "zod";
import type { Lease } from "../document/lease.ts";
import type { SqlCall } from "../document/sql-call.ts";
import { Failure } from "../failure/failure.ts";
import type { Finding } from "./findings.ts";
import { findUnknownObjects, lookAtOriginals, type Origins } from "./look-at-originals.ts";
import { type Area, everyArea, type Page, type Scope, validateDatabase } from "./validate-database.ts";

export const syncTypes = ["incremental_sync", "full_sync", "conflict_resolution", "data_validation"] as const;
export type SyncType = (typeof syncTypes)[number];

export type SyncRequest = Scope & {
  readonly type: SyncType;
  readonly repair: boolean;
  /** Of the job that asks for it: every repair checks that it is still ours. */
  readonly lease?: Lease;
};

export type Repaired = { readonly code: string; readonly subject: string; readonly action: string };

export type SyncListener = {
  readonly found: (finding: Finding) => void;
  readonly repaired: (repaired: Repaired, finding: Finding | undefined) => void;
  /** So many documents and objects were looked at by now. */
  readonly progress: (lookedAt: number) => void;
};

export type SyncSummary = {
  readonly type: SyncType;
  lookedAt: number;
  findings: number;
  readonly byCode: Record<string, number>;
  repaired: number;
  /** Found, and left: in order by then, in somebody's hands, or held back. */
  skipped: number;
  /** Documents whose originals are gone, and that are kept for there are so many of them. */
  heldBack: number;
};

// What rag_repair takes.
const REPAIRS_A_CALL = 100;
// Of ten or more, more than half gone: rather a volume or a bucket than the files.
const FEW_ORIGINALS = 10;
// Found gone, and held until all have been looked at.
const MOST_GONE = 100_000;

const answer = z.discriminatedUnion("state", [
  z.object({
    state: z.literal("repaired"),
    repaired: z.array(z.object({ code: z.string(), subject: z.string(), action: z.string() })),
    skipped: z.array(z.object({ code: z.string(), subject: z.string() })),
  }),
  z.object({ state: z.literal("lease_lost") }),
]);

/** Throws `job.lease-lost`, `config.invalid` (the document root is not there), `source.*`, `database.*`. */
export async function runSync(
  call: SqlCall,
  origins: Origins,
  request: SyncRequest,
  listener: SyncListener,
  signal: AbortSignal,
): Promise<SyncSummary> {
  const { type } = request;
  const summary: SyncSummary = {
    type,
    lookedAt: 0,
    findings: 0,
    byCode: {},
    repaired: 0,
    skipped: 0,
    heldBack: 0,
  };
  const take = ({ findings, lookedAt }: Page) => {
    summary.lookedAt += lookedAt;
    summary.findings += findings.length;
    for (const one of findings) {
      summary.byCode[one.code] = (summary.byCode[one.code] ?? 0) + 1;
      listener.found(one);
    }
    listener.progress(summary.lookedAt);
  };
  const repair = async (found: readonly Finding[]) => {
    if (!request.repair) return;
    for (let from = 0; from < found.length; from += REPAIRS_A_CALL) {
      signal.throwIfAborted();
      const some = found.slice(from, from + REPAIRS_A_CALL);
      const done = await repairSome(call, some, request.lease, signal);
      summary.repaired += done.repaired.length + done.covered;
      summary.skipped += done.skipped - done.covered;
      for (const one of done.repaired)
        listener.repaired(
          one,
          some.find((of) => of.code === one.code && of.subject === one.subject),
        );
    }
  };

  const areas: readonly Area[] = type === "conflict_resolution" ? ["conflicts"] : everyArea;
  for await (const page of validateDatabase(call, areas, request, signal)) {
    take(page);
    await repair(page.findings);
  }
  if (type === "conflict_resolution") return summary;
  const gone: Finding[] = [];
  let originals = 0;
  for await (const page of lookAtOriginals(call, origins, request, signal)) {
    take(page);
    originals += page.lookedAt;
    gone.push(...page.findings.filter(isGone).slice(0, MOST_GONE - gone.length));
    await repair(page.findings.filter((one) => !isGone(one)));
  }
  if (gone.length * 2 > originals && originals >= FEW_ORIGINALS) summary.heldBack = gone.length;
  else await repair(gone);
  if (type === "incremental_sync") return summary;
  for await (const page of findUnknownObjects(call, origins, signal)) {
    take(page);
    await repair(page.findings);
  }
  return summary;
}

const isGone = ({ code }: Finding) => code === "file.gone" || code === "storage.object-gone";

async function repairSome(
  call: SqlCall,
  some: readonly Finding[],
  lease: Lease | undefined,
  signal: AbortSignal,
) {
  const fence = lease && { p_job_id: lease.jobId, p_lease_token: lease.token };
  const p_findings = some.map(({ detail: _, ...named }) => named);
  const done = answer.parse(await call("rag_repair", { p_findings, ...fence }, { signal }));
  if (done.state === "lease_lost") throw new Failure("job.lease-lost");
  const documentOf = (named: { readonly code: string; readonly subject: string }) =>
    some.find(({ code, subject }) => code === named.code && subject === named.subject)?.document_id ?? null;
  // A document that is read anew needs no second repair: what else was wrong with it goes with the old parts.
  const healed = new Set(done.repaired.map(documentOf).filter((id) => id !== null));
  const covered = done.skipped.filter((one) => healed.has(documentOf(one) ?? "")).length;
  return { repaired: done.repaired, skipped: done.skipped.length, covered };
}
