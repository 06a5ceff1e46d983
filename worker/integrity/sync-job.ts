// A job of the kind sync: asked for by an application, a message, or the interval.
import { z } from "zod";
import type { Activity } from "../activity/activity.ts";
import { done, type RunKind } from "../document/run-kind.ts";
import type { SqlCall } from "../document/sql-call.ts";
import { Failure } from "../failure/failure.ts";
import type { Origins } from "./look-at-originals.ts";
import { runSync, syncTypes } from "./sync.ts";

// Another sync is under way; it may take as long as everything that is stored.
const BUSY_WAIT_MS = 30_000;
// Lines a run; the counts are told at the end.
const MOST_TOLD = 100;

const begun = z.discriminatedUnion("state", [
  z.object({
    state: z.literal("begun"),
    sync: z.object({ type: z.enum(syncTypes), repair: z.boolean().default(false) }),
    document_ids: z.array(z.string()),
  }),
  z.object({ state: z.literal("busy") }),
  z.object({ state: z.literal("lease_lost") }),
]);

export function openSyncing(
  call: SqlCall,
  activity: Activity,
  origins: Origins,
  { keepOriginals }: { readonly keepOriginals: boolean },
): RunKind {
  return async ({ id: jobId, lease }, { signal, touch }) => {
    const startedAt = performance.now();
    const fence = { p_job_id: lease.jobId, p_lease_token: lease.token };
    const asked = begun.parse(await call("rag_begin_sync", fence, { signal }));
    if (asked.state === "lease_lost") return { kind: "lost" };
    if (asked.state === "busy")
      return { kind: "release", failure: new Failure("job.sync-under-way"), delayMs: BUSY_WAIT_MS };
    const { type, repair } = asked.sync;
    let told = 0;
    const summary = await runSync(
      call,
      origins,
      { type, repair, keepOriginals, lease, documentIds: namedOnly(type, asked.document_ids) },
      {
        found({ code, document_id: documentId }) {
          touch();
          told += 1;
          if (told <= MOST_TOLD) activity.say("integrity.found", { jobId, documentId, code });
        },
        repaired({ code, action }, of) {
          const documentId = of?.document_id ?? null;
          if (told <= MOST_TOLD) activity.say("integrity.repaired", { jobId, documentId, code, action });
        },
        progress: touch,
      },
      signal,
    );
    const { lookedAt, findings, repaired, skipped } = summary;
    const durationMs = Math.round(performance.now() - startedAt);
    activity.say("sync.completed", { jobId, type, lookedAt, findings, repaired, skipped, durationMs });
    return done;
  };
}

/** An incremental sync of documents that are all gone looks at nothing, not at everything. */
const namedOnly = (type: string, ids: readonly string[]): readonly string[] | null =>
  ids.length > 0 || type === "incremental_sync" ? ids : null;
