// What was left out of a page, in words.

/** One decision for each rule, the greatest first; characters without white space. */
export function describeLeftOut(leftOut: ReadonlyMap<string, number>): string[] {
  const rules = [...leftOut].sort(([, a], [, b]) => b - a);
  return rules.map(([rule, chars]) => `left out: ${rule} (${chars} characters)`);
}
