// Many documents, a page at a time and a few at once, without a job for each: `rag relate`.
import { z } from "zod";
import type { SqlCall } from "../document/sql-call.ts";
import { describeFailure } from "../failure/describe.ts";
import { failureFromUnknown } from "../failure/from-unknown.ts";
import { sleep } from "../timing/durations.ts";
import { relateDocument } from "./relate-document.ts";

export type RelateFilter = {
  readonly document_ids?: readonly string[];
  readonly tenant_id?: string;
  readonly collection?: string;
};

export type RelateSummary = {
  documents: number;
  written: number;
  removed: number;
  /** Relationships that the documents have in the end, by type, and mentions that nobody answers to. */
  relationships: Readonly<Record<string, number>>;
  unresolved: number;
  readonly failed: { readonly document_id: string; readonly code: string; readonly message: string }[];
};

const PAGE = 500;
// Two search while a third writes; a fourth would wait for the pool.
const AT_ONCE = 3;
const BUSY_TURNS = 100;
const BUSY_WAIT_MS = 50;
// Failures are listed up to here; their number is counted on.
const MOST_FAILED = 1000;

const page = z.object({ document_ids: z.array(z.string()), total: z.number().nullable() });

const counts = z.object({ relationships: z.record(z.string(), z.number()), unresolved: z.number() });

export type RelateAll = {
  readonly call: SqlCall;
  readonly patterns: readonly string[];
  readonly filter: RelateFilter;
  readonly progress: (done: number, total: number) => void;
};

/** A document that fails costs only itself. Ends early, with what is done so far, when the signal fires. */
export async function relateAll(
  { call, patterns, filter, progress }: RelateAll,
  signal: AbortSignal,
): Promise<RelateSummary> {
  const summary: RelateSummary = {
    documents: 0,
    written: 0,
    removed: 0,
    relationships: {},
    unresolved: 0,
    failed: [],
  };
  let total = 0;
  const relateOne = async (id: string) => {
    try {
      const related = await relateWhenFree(call, id, patterns, signal);
      if (related === null) return;
      summary.documents += 1;
      summary.written += related.written;
      summary.removed += related.removed;
    } catch (thrown) {
      if (signal.aborted) return;
      const failure = failureFromUnknown(thrown);
      // Whatever is wrong with the database is wrong for every document.
      if (failure.code !== "database.timeout" && failure.code !== "database.rejected") throw failure;
      if (summary.failed.length < MOST_FAILED)
        summary.failed.push({ document_id: id, code: failure.code, message: describeFailure(failure) });
    }
    progress(summary.documents + summary.failed.length, total);
  };
  for (let after: string | null = null; !signal.aborted; ) {
    const answer = page.parse(
      await call("rag_list_relatable", { p_filter: filter, p_after: after, p_limit: PAGE }, { signal }),
    );
    total = answer.total ?? total;
    progress(summary.documents + summary.failed.length, total);
    after = answer.document_ids.at(-1) ?? null;
    if (after === null) break;
    const waiting = [...answer.document_ids];
    const take = async () => {
      for (let id = waiting.shift(); id !== undefined && !signal.aborted; id = waiting.shift())
        await relateOne(id);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, take));
  }
  if (signal.aborted) return summary;
  // Not added up on the way: what is related later changes what was related before.
  const end = counts.parse(
    await call("rag_list_relatable", { p_filter: filter, p_after: null, p_limit: 0 }, { signal }),
  );
  return { ...summary, relationships: end.relationships, unresolved: end.unresolved };
}

/** null for one that is gone since, or that somebody holds for as long as we wait. */
async function relateWhenFree(call: SqlCall, id: string, patterns: readonly string[], signal: AbortSignal) {
  for (let turn = 0; turn < BUSY_TURNS; turn += 1) {
    const related = await relateDocument(call, id, { patterns }, signal);
    if (related.state === "related") return related;
    if (related.state !== "busy") return null;
    await sleep(BUSY_WAIT_MS, signal);
  }
  return null;
}
