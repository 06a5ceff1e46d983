// Takes ready jobs from the queue. The row is unknown here and nowhere further in.
import { z } from "zod";
import type { Job, JobKind, Lease } from "../document/lease.ts";

const kinds = z.enum(["document", "relationships", "sync"]);

// guid, not uuid: Postgres takes any 128 bits, also those that no version of the standard made.
const row = z
  .object({
    job_id: z.guid(),
    lease_token: z.string().regex(/^\d+$/),
    kind: kinds,
    tenant_id: z.string(),
    attempt: z.number().int(),
    max_attempts: z.number().int(),
    document: z
      .object({
        id: z.guid(),
        title: z.string().nullable(),
        source_uri: z.string().nullable(),
        kind: z.enum(["file", "transcript", "entity"]),
        version: z.string().nullable(),
        media_type: z.string().nullable(),
        metadata: z.record(z.string(), z.unknown()),
      })
      .nullable(),
  })
  .transform(
    (given): Job => ({
      id: given.job_id,
      kind: given.kind,
      tenantId: given.tenant_id,
      attempt: given.attempt,
      maxAttempts: given.max_attempts,
      lease: { jobId: given.job_id, token: given.lease_token },
      document: given.document && {
        id: given.document.id,
        title: given.document.title,
        sourceUri: given.document.source_uri,
        kind: given.document.kind,
        version: given.document.version,
        mediaType: given.document.media_type,
        metadata: given.document.metadata,
      },
    }),
  );

export type ClaimOptions = {
  readonly workerId: string;
  readonly kinds: readonly JobKind[];
  readonly leaseSeconds: number;
};

export type Claimed = {
  readonly jobs: readonly Job[];
  /** Rows that we cannot read: held by nobody unless they are given back by their raw id and token. */
  readonly unreadable: readonly Lease[];
};

const leaseOf = z.object({ job_id: z.string(), lease_token: z.string() });

/** Each row is read by itself: one costs its neighbours nothing. */
export function readClaimed(rows: readonly unknown[]): Claimed {
  const jobs: Job[] = [];
  const unreadable: Lease[] = [];
  for (const given of rows) {
    const read = row.safeParse(given);
    if (read.success) {
      jobs.push(read.data);
    } else {
      const lease = leaseOf.parse(given);
      unreadable.push({ jobId: lease.job_id, token: lease.lease_token });
    }
  }
  return { jobs, unreadable };
}
