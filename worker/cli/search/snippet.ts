// The few lines of a passage that show why it was found: the stretch with most words of the question.
// English endings are cut off roughly on both sides, so that "refunds" lights up for "refund"; the search
// itself does this properly in the database.
import { printable } from "../../log/printable.ts";

export type SnippetPart = { readonly text: string; readonly matches: boolean };

const WORD = /[\p{L}\p{N}]+/gu;
const SHORTEST_WORD = 3;

type Match = { readonly start: number; readonly end: number; readonly stem: string };

/** Parts that follow each other, at most `most` characters in all and an ellipsis where something is left out. */
export function snippetOf(content: string, query: string, most: number): readonly SnippetPart[] {
  const text = printable(content).replace(/\s+/g, " ").trim();
  const asked = new Set(wordsOf(query).map(({ stem }) => stem));
  const matches = wordsOf(text).filter(({ stem }) => asked.has(stem));
  const from = text.length <= most ? 0 : bestStart(text, matches, most);
  const to = Math.min(text.length, from + most);
  const parts: SnippetPart[] = from > 0 ? [{ text: "… ", matches: false }] : [];
  let at = from;
  for (const match of matches) {
    if (match.start < at || match.end > to) continue;
    parts.push({ text: text.slice(at, match.start), matches: false });
    parts.push({ text: text.slice(match.start, match.end), matches: true });
    at = match.end;
  }
  parts.push({ text: text.slice(at, to) + (to < text.length ? " …" : ""), matches: false });
  return parts.filter((part) => part.text !== "");
}

/** Where a window of `most` characters covers most different words of the question; the earliest such place. */
function bestStart(text: string, matches: readonly Match[], most: number): number {
  let best = 0;
  let bestCount = 0;
  for (const first of matches) {
    const within = matches.filter(
      ({ start, end }) => start >= first.start && end <= first.start + most * 0.8,
    );
    const different = new Set(within.map(({ stem }) => stem)).size;
    if (different <= bestCount) continue;
    bestCount = different;
    best = first.start;
  }
  // Some words before it, from the start of a word, and the whole window where the end is near.
  const lead = Math.max(0, Math.min(best - Math.floor(most * 0.2), text.length - most));
  return lead === 0 ? 0 : text.indexOf(" ", lead) + 1;
}

function wordsOf(text: string): Match[] {
  return [...text.matchAll(WORD)]
    .filter(([word]) => word.length >= SHORTEST_WORD)
    .map((found) => ({ start: found.index, end: found.index + found[0].length, stem: stemOf(found[0]) }));
}

function stemOf(word: string): string {
  const lower = word.toLowerCase();
  const cut = lower.replace(/(ings?|ies|es|ed|ly|s|y|e)$/, "");
  return cut.length >= SHORTEST_WORD ? cut : lower;
}
