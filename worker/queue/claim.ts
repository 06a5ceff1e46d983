// Takes ready jobs from the queue. The row is unknown here and nowhere further in.
import { z } from "zod";
import type { Job, JobKind } from "../document/lease.ts";
import type { SqlCall } from "../document/sql-call.ts";

const kinds = z.enum(["document", "relationships", "sync"]);

const claimed = z.array(
  z
    .object({
      job_id: z.uuid(),
      lease_token: z.string().regex(/^\d+$/),
      kind: kinds,
      tenant_id: z.string(),
      attempt: z.number().int(),
      max_attempts: z.number().int(),
      document: z
        .object({
          id: z.uuid(),
          tenant_id: z.string(),
          user_id: z.string().nullable(),
          collection: z.string(),
          title: z.string().nullable(),
          source_uri: z.string().nullable(),
          kind: z.enum(["file", "transcript", "entity"]),
          version: z.string().nullable(),
          media_type: z.string().nullable(),
          tags: z.array(z.string()),
          metadata: z.record(z.string(), z.unknown()),
          live_generation: z.number().int().nullable(),
        })
        .nullable(),
    })
    .transform(
      (row): Job => ({
        id: row.job_id,
        kind: row.kind,
        tenantId: row.tenant_id,
        attempt: row.attempt,
        maxAttempts: row.max_attempts,
        lease: { jobId: row.job_id, token: row.lease_token },
        document: row.document && {
          id: row.document.id,
          tenantId: row.document.tenant_id,
          userId: row.document.user_id,
          collection: row.document.collection,
          title: row.document.title,
          sourceUri: row.document.source_uri,
          kind: row.document.kind,
          version: row.document.version,
          mediaType: row.document.media_type,
          tags: row.document.tags,
          metadata: row.document.metadata,
          liveGeneration: row.document.live_generation,
        },
      }),
    ),
);

export type ClaimOptions = {
  readonly workerId: string;
  readonly kinds: readonly JobKind[];
  readonly leaseSeconds: number;
};

/** At most `slots` jobs; an empty array when nothing is ready. */
export async function claimJobs(
  call: SqlCall,
  slots: number,
  options: ClaimOptions,
): Promise<readonly Job[]> {
  return claimed.parse(
    await call("rag_claim_jobs", {
      p_worker: options.workerId,
      p_slots: slots,
      p_kinds: options.kinds,
      p_lease_seconds: options.leaseSeconds,
    }),
  );
}
