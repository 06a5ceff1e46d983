// How long it takes to count the tokens of 4 MiB, also of such as no author writes, and what doubling a text costs.
import { openTokenizer } from "../../../worker/tokenizers/open-tokenizer.ts";
import { median } from "../contestants/quantiles.ts";
import type { BenchOptions, Report } from "../figure.ts";

const BYTES = 4 << 20;
const ROUNDS = 3;
const TOKENIZERS = ["cl100k_base", "o200k_base", "bert-wordpiece"] as const;

/** `prose` is repeated until there is enough of it; empty leaves it out. */
export function benchCounting(prose: string, report: Report, options: BenchOptions): void {
  const texts: Readonly<Record<string, string>> = {
    "one letter": "a".repeat(BYTES),
    spaces: " ".repeat(BYTES),
    dashes: "-".repeat(BYTES),
    "random CJK": randomIdeographs(BYTES / 3),
    ...(prose !== "" && { prose: prose.repeat(Math.ceil(BYTES / prose.length)).slice(0, BYTES) }),
  };
  for (const name of TOKENIZERS) {
    const { count } = openTokenizer(name);
    count("The vocabulary is read at the first text.");
    for (const [kind, text] of Object.entries(texts)) {
      const half = text.slice(0, text.length / 2);
      const seconds: number[] = [];
      const halves: number[] = [];
      for (let round = 0; round < (options.rounds ?? ROUNDS); round += 1) {
        halves.push(cpuSeconds(() => count(half)));
        seconds.push(cpuSeconds(() => count(text)));
      }
      const figure = { bench: "chunk", case: `counting, ${kind}`, contestant: name };
      report({ ...figure, metric: "4 MiB", value: median(seconds), unit: "s" });
      report({ ...figure, metric: "twice the text", value: median(seconds) / median(halves), unit: "x" });
    }
  }
}

function cpuSeconds(work: () => void): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1_000_000;
}

function randomIdeographs(length: number): string {
  const ideographs: string[] = [];
  for (let at = 0; at < length; at += 1)
    ideographs.push(String.fromCharCode(0x4e00 + Math.floor(Math.random() * 20_000)));
  return ideographs.join("");
}
