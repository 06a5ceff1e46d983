// What is wrong within the database, area by area and page by page.
import { z } from "zod";
import type { SqlCall } from "../document/sql-call.ts";
import { type Finding, isFindingCode } from "./findings.ts";

export type Area =
  | "conflicts"
  | "orphans"
  | "relationships"
  | "generations"
  | "documents"
  | "jobs"
  | "originals";

// Two documents of one source first: what becomes history needs no other repair. What is left of documents that are
// gone goes before what only mentions them.
export const everyArea: readonly Area[] = [
  "conflicts",
  "orphans",
  "relationships",
  "generations",
  "documents",
  "jobs",
  "originals",
];

// Counting the chunks of so many documents stays below a second.
const PAGE = 100;
const MOST_PAGES = 1_000_000;

export const finding = z.object({
  code: z.string().refine(isFindingCode),
  subject: z.string(),
  document_id: z.string().nullable(),
  tenant_id: z.string().nullable(),
  detail: z.record(z.string(), z.unknown()),
});

const answer = z.object({
  findings: z.array(finding),
  next: z.string().nullable(),
  looked_at: z.number(),
});

export type Scope = {
  /** null: everything. */
  readonly documentIds: readonly string[] | null;
  readonly keepOriginals: boolean;
};

export type Page = { readonly findings: readonly Finding[]; readonly lookedAt: number };

export async function* validateDatabase(
  call: SqlCall,
  areas: readonly Area[],
  { documentIds, keepOriginals }: Scope,
  signal: AbortSignal,
): AsyncIterable<Page> {
  for (const area of areas) {
    let after: string | null = null;
    for (let pages = 0; pages < MOST_PAGES; pages += 1) {
      signal.throwIfAborted();
      const page: z.infer<typeof answer> = answer.parse(
        await call(
          "rag_validate",
          {
            p_area: area,
            p_after: after,
            p_limit: PAGE,
            p_document_ids: documentIds,
            p_keep_originals: keepOriginals,
          },
          { signal },
        ),
      );
      yield { findings: page.findings, lookedAt: page.looked_at };
      after = page.next;
      if (after === null) break;
    }
  }
}
