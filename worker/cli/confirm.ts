// A question before many jobs are touched.
import { createInterface } from "node:readline/promises";
import type { Terminal } from "./terminal.ts";
import { usage } from "./usage.ts";

/** Whether to go on. Throws `usage.invalid` when nobody can be asked and --yes was not given. */
export async function confirm(question: string, yes: boolean, terminal: Terminal): Promise<boolean> {
  if (yes) return true;
  if (terminal.stdin.isTTY !== true || terminal.stderr.isTTY !== true)
    throw usage(`${question} Nobody can answer here: add --yes.`);
  const asking = createInterface({ input: terminal.stdin, output: process.stderr });
  try {
    const answer = await asking.question(`${question} [y/N] `);
    return /^y(es)?$/i.test(answer.trim());
  } finally {
    asking.close();
  }
}
