// The state of the vectors in one line, for `rag status` and `rag doctor`.
import type { QueueFigures } from "../status/queue-figures.ts";
import { count, counted } from "./words.ts";

/** What a search by vector has to read. */
export function vectorsInWords({ vectors }: Pick<QueueFigures, "vectors">): string {
  const scanned = vectors.tail_chunks + vectors.unindexed_rows;
  if (vectors.indexes === 0) return `${count(scanned)} scanned exactly, no index yet`;
  return `${count(vectors.indexed_rows)} in ${counted(vectors.indexes, "index", "indexes")}, ${count(scanned)} scanned exactly`;
}
