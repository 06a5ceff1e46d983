// Why a search answered what it did: for each passage its place on either side and the words it shares with the
// query; for the search its time, and whether an index led to it.
import { z } from "zod";
import type { SqlCall } from "../../document/sql-call.ts";
import type { Found, Passage, SearchMode } from "../../search/find-passages.ts";
import { queueFigures } from "../../status/queue-figures.ts";
import { vectorsInWords } from "../vectors-in-words.ts";

const described = z.object({
  vectors: queueFigures.shape.vectors,
  filled: z.coerce.number(),
  unfilled: z.coerce.number(),
  languages: z.record(z.string(), z.coerce.number()),
});

/** So many of the newest that are in no index yet are looked at by a search (rag_unfilled_terms). */
const MOST_UNFILLED = 2000;

/** One line about a passage. */
export function explainHit(passage: Passage, mode: SearchMode): string {
  const words = passage.matched?.length ? `words ${passage.matched.join(", ")}` : "no shared word";
  const score = passage.score.toFixed(3);
  if (mode === "vector") return `cosine similarity ${score}`;
  if (mode === "text") return `BM25 ${score}, ${words}`;
  const side = (name: string, rank: number | null | undefined, its: number | null | undefined) =>
    rank === null || rank === undefined ? `not by ${name}` : `${name} ${rank}. (${(its ?? 0).toFixed(3)})`;
  return [
    `score ${score}`,
    side("vector", passage.vector_rank, passage.vector_score),
    side("text", passage.text_rank, passage.text_score),
    words,
  ].join(", ");
}

/** One line about the search. */
export async function explainSearch(
  call: SqlCall,
  mode: SearchMode,
  found: Found,
  signal: AbortSignal,
): Promise<string> {
  const stored = described.parse(await call("rag_describe_search", {}, { signal }));
  const languages = Object.entries(stored.languages)
    .sort((one, other) => other[1] - one[1])
    .map(([language, chunks]) => `${language} ${chunks}`)
    .join(", ");
  const parts = [
    mode === "text" ? "" : `query embedded in ${found.embedMs.toFixed(0)} ms`,
    `searched in ${found.searchMs.toFixed(0)} ms`,
    mode === "text" ? "" : `vectors: ${vectorsInWords(stored)}`,
    mode === "vector"
      ? ""
      : `words: index of ${stored.filled} chunks (${languages || "none"})${tailInWords(stored.unfilled)}`,
  ];
  return parts.filter((part) => part !== "").join("; ");
}

function tailInWords(unfilled: number): string {
  if (unfilled === 0) return "";
  if (unfilled <= MOST_UNFILLED) return `, and ${unfilled} chunks read as they are`;
  return `, and the newest ${MOST_UNFILLED} of ${unfilled} chunks that are not in it yet, read as they are`;
}
