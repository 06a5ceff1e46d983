// The chunks before and after each passage, for whoever reads the answer.
import { z } from "zod";
import type { SqlCall } from "../document/sql-call.ts";
import type { Passage } from "./find-passages.ts";

const neighbour = z.object({
  document_id: z.string(),
  chunk_index: z.number(),
  content: z.string(),
});

/** As many as the database gives on both sides together, and hits it takes at once. */
export const MOST_NEIGHBOURS = 4;
const HITS_A_CALL = 100;

export type Surroundings = { readonly before: readonly string[]; readonly after: readonly string[] };

/** What stands around each passage, in the order of the passages; `each` chunks on either side. */
export async function findNeighbours(
  call: SqlCall,
  passages: readonly Passage[],
  each: number,
  signal: AbortSignal,
): Promise<readonly Surroundings[]> {
  const contents = new Map<string, string>();
  for (let from = 0; from < passages.length; from += HITS_A_CALL) {
    const hits = passages
      .slice(from, from + HITS_A_CALL)
      .map(({ document_id, chunk_index }) => ({ document_id, chunk_index }));
    const rows = await call("rag_neighbours", { p_hits: hits, p_before: each, p_after: each }, { signal });
    for (const row of z.array(neighbour).parse(rows))
      contents.set(`${row.document_id}/${row.chunk_index}`, row.content);
  }
  return passages.map((passage) => {
    const at = (offset: number) => contents.get(`${passage.document_id}/${passage.chunk_index + offset}`);
    const offsets = Array.from({ length: each }, (_, index) => index + 1);
    const there = (content: string | undefined) => content !== undefined;
    return {
      before: offsets
        .map((offset) => at(-offset))
        .filter(there)
        .reverse(),
      after: offsets.map((offset) => at(offset)).filter(there),
    };
  });
}
