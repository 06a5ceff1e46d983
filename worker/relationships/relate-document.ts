// One document's relationships, found and written by the database in one call.
import { z } from "zod";
import type { Lease } from "../document/lease.ts";
import type { SqlCall } from "../document/sql-call.ts";

export type Related = {
  readonly state: "related";
  /** Rows that are new or changed, and rows that went. */
  readonly written: number;
  readonly removed: number;
  /** How many of each type the document has now. */
  readonly relationships: Readonly<Record<string, number>>;
  /** Mentions that nobody answers to yet. */
  readonly unresolved: number;
};

const answer = z.discriminatedUnion("state", [
  z.object({
    state: z.literal("related"),
    written: z.number(),
    removed: z.number(),
    relationships: z.record(z.string(), z.number()),
    unresolved: z.number(),
  }),
  z.object({ state: z.enum(["gone", "busy", "pending", "lease_lost"]) }),
]);

/** `lease`: of the job that asks for it, which must still be ours when it is written. */
export async function relateDocument(
  call: SqlCall,
  documentId: string,
  { patterns, lease }: { readonly patterns: readonly string[]; readonly lease?: Lease },
  signal: AbortSignal,
): Promise<Related | { readonly state: "gone" | "busy" | "pending" | "lease_lost" }> {
  const fence = lease && { p_job_id: lease.jobId, p_lease_token: lease.token };
  const args = { p_document_id: documentId, p_patterns: patterns, ...fence };
  return answer.parse(await call("rag_find_relationships", args, { signal }));
}
