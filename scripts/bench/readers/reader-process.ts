// One contestant in a process of its own: reads files, `atOnce` side by side, as often as it was told, and prints what
// it cost. With an output file it reads them once and writes {file, chunks} or {file, error} a line, for the scorer.
import { appendFileSync } from "node:fs";
import { join } from "node:path";
import pLimit from "p-limit";
import { openReader, type ReaderName } from "./open-reader.ts";

type Order = {
  readonly reader: ReaderName;
  readonly folder: string;
  readonly files: readonly string[];
  readonly passes: number;
  readonly atOnce: number;
  readonly output: string | null;
};

const order = JSON.parse(process.argv[2] ?? "") as Order; // SAFETY: written by extract.ts.
const read = await openReader(order.reader);
let failed = 0;
const limit = pLimit(order.atOnce);

async function readOne(file: string): Promise<number> {
  try {
    const pages = await read(join(order.folder, file));
    if (order.output !== null) {
      const chunks = pages.map((page, at) => ({
        chunk_index: at,
        content: page.text.toWellFormed(),
        page_number: page.page,
        section: page.section,
      }));
      appendFileSync(order.output, `${JSON.stringify({ file, chunks })}\n`);
    }
    return new Set(pages.map((page) => page.page)).size;
  } catch (thrown) {
    const code = (thrown as { code?: string }).code ?? "";
    if (order.output !== null)
      appendFileSync(order.output, `${JSON.stringify({ file, error: `${code} ${String(thrown)}` })}\n`);
    failed += 1;
    return 0;
  }
}

const pass = () => Promise.all(order.files.map((file) => limit(() => readOne(file))));
if (order.output === null) await pass(); // Warms up: everybody's code is compiled and the fonts are met.
const cpu = process.cpuUsage();
const startedAt = performance.now();
let pages = 0;
for (let at = 0; at < order.passes; at += 1) pages += (await pass()).reduce((sum, count) => sum + count, 0);
const { user, system } = process.cpuUsage(cpu);
const cost = {
  pages,
  documents: order.files.length * order.passes,
  failed,
  cpuSeconds: (user + system) / 1_000_000,
  wallSeconds: (performance.now() - startedAt) / 1000,
  peakMb: process.resourceUsage().maxRSS / 1024,
};
process.stdout.write(`${JSON.stringify(cost)}\n`, () => process.exit(0));
