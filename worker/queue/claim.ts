// Takes ready jobs from the queue. The row is unknown here and nowhere further in.
import { z } from "zod";
import type { Job, JobKind, Lease } from "../document/lease.ts";

const kinds = z.enum(["document", "reembed", "relationships", "sync"]);

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
        user_id: z.string().nullish(),
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
        userId: given.document.user_id ?? null,
      },
    }),
  );

export type ClaimOptions = {
  readonly workerId: string;
  readonly kinds: readonly JobKind[];
  /** Identity of the model here (`identityOf`): the database says which documents are its to embed. */
  readonly model?: string;
  readonly leaseSeconds: number;
};

export type Claimed = {
  readonly jobs: readonly Job[];
  /** Rows that we cannot read: held by nobody unless they are given back by their raw id and token. */
  readonly unreadable: readonly Lease[];
};

// What stands in it is looked at row by row.
const column = z.custom<readonly unknown[]>(Array.isArray);
/** A claim's answer: a column each, with one entry a job. */
const columnsOf = z.object({
  job_id: column,
  lease_token: column,
  kind: column,
  tenant_id: column,
  attempt: column,
  max_attempts: column,
  document_id: column,
  title: column,
  source_uri: column,
  document_kind: column,
  version: column,
  media_type: column,
  metadata: column,
  user_id: column,
});

/** Nothing at all when nothing was ready. */
const answerOf = z.union([z.strictObject({ job_id: z.undefined().optional() }), columnsOf]);

function rowAt(columns: z.infer<typeof columnsOf>, place: number): unknown {
  const id = columns.document_id[place];
  return {
    job_id: columns.job_id[place],
    lease_token: columns.lease_token[place],
    kind: columns.kind[place],
    tenant_id: columns.tenant_id[place],
    attempt: columns.attempt[place],
    max_attempts: columns.max_attempts[place],
    document:
      id === null
        ? null
        : {
            id,
            title: columns.title[place],
            source_uri: columns.source_uri[place],
            kind: columns.document_kind[place],
            version: columns.version[place],
            media_type: columns.media_type[place],
            metadata: columns.metadata[place],
            user_id: columns.user_id[place],
          },
  };
}

const leaseOf = z.object({ job_id: z.string(), lease_token: z.string() });

/** `answer`: what `rag_claim_jobs` says. Each job is read by itself: one costs its neighbours nothing. */
export function readClaimed(answer: unknown): Claimed {
  const jobs: Job[] = [];
  const unreadable: Lease[] = [];
  const columns = answerOf.parse(answer);
  if (columns.job_id === undefined) return { jobs, unreadable };
  for (const place of columns.job_id.keys()) {
    const given = rowAt(columns, place);
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
