// Sums over the subtrees of a page's elements, without what has been left out so far. Parents come before their
// children in the table, so one loop from its end is enough.
import type { Surveyed } from "./survey.ts";

type Measures = {
  readonly ink: number;
  readonly linkInk: number;
  readonly links: number;
  readonly prose: number;
};

const KEYS = ["ink", "linkInk", "links", "prose", "paragraphs"] as const;

/** Each by element index; an element that is left out keeps its own sums and adds nothing to those above. */
export type Sums = {
  readonly ink: Int32Array;
  readonly linkInk: Int32Array;
  readonly links: Int32Array;
  readonly prose: Int32Array;
  readonly paragraphs: Int32Array;
  readonly total: Measures;
};

export function sumSubtrees(elements: readonly Surveyed[], out: ReadonlyMap<number, unknown>): Sums {
  const make = (): Int32Array => new Int32Array(elements.length);
  const sums = { ink: make(), linkInk: make(), links: make(), prose: make(), paragraphs: make() };
  const total = { ink: 0, linkInk: 0, links: 0, prose: 0, paragraphs: 0 };
  for (let at = elements.length - 1; at >= 0; at -= 1) {
    const element = elements[at];
    if (element === undefined) continue;
    const { parent } = element;
    const adds = !out.has(at);
    for (const key of KEYS) {
      const column = sums[key];
      const all = (column[at] ?? 0) + element[key];
      column[at] = all;
      if (!adds) continue;
      if (parent < 0) total[key] += all;
      else column[parent] = (column[parent] ?? 0) + all;
    }
  }
  return { ...sums, total };
}
