// Names in the environment that look like settings of ours and are none: a misspelt setting is obeyed by nobody, and
// nothing else would say so.
import type { Environment } from "./config.ts";
import { settings } from "./settings.ts";

export type UnknownSetting = {
  readonly name: string;
  /** The setting that was probably meant; null when none is near. */
  readonly nearest: string | null;
};

// Of the project's own tests and scripts.
const NOT_SETTINGS = /^RAG_(TEST_|SERVICES_|CORPUS_DIR$)/;
// One letter in three may be wrong before another name was meant.
const LETTERS_AN_ERROR = 3;

/** Names with the prefix RAG_ that are set and are no setting, in alphabetical order. Never their values. */
export function unknownSettings(environment: Environment): readonly UnknownSetting[] {
  const known = Object.values(settings).flatMap((setting) => setting.names);
  return Object.keys(environment)
    .filter((name) => name.startsWith("RAG_") && (environment[name] ?? "").trim() !== "")
    .filter((name) => !known.includes(name) && !NOT_SETTINGS.test(name))
    .toSorted()
    .map((name) => ({ name, nearest: nearestOf(name, known) }));
}

function nearestOf(name: string, known: readonly string[]): string | null {
  const ranked = known
    .map((candidate) => ({ candidate, distance: distanceOf(bare(name), bare(candidate)) }))
    .toSorted((one, other) => one.distance - other.distance);
  const [best] = ranked;
  if (best === undefined || best.distance * LETTERS_AN_ERROR > bare(name).length) return null;
  return best.candidate;
}

const bare = (name: string) => name.replace(/^RAG_/, "");

/** Letters to insert, delete or replace ("Binary codes capable of correcting deletions…", Levenshtein, 1966). */
function distanceOf(one: string, other: string): number {
  let row = Array.from({ length: other.length + 1 }, (_, at) => at);
  for (let at = 1; at <= one.length; at += 1) {
    const next = [at];
    for (let to = 1; to <= other.length; to += 1) {
      const replaced = (row[to - 1] ?? 0) + (one[at - 1] === other[to - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[to] ?? 0) + 1, (next[to - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[other.length] ?? 0;
}
