// npm run bench -- NAME: measurements that can be repeated; figures come out as a table or, with --json, one
// line each: {bench, case, contestant, metric, value, unit, ratio_to}.
import { parseArgs } from "node:util";
import { benchChunk } from "./chunk.ts";
import { benchExtract } from "./extract.ts";
import { benchFair } from "./fair.ts";
import { benchFaults } from "./faults.ts";
import type { BenchOptions, Figure, Report } from "./figure.ts";
import { benchHorizon } from "./horizon.ts";
import { benchIngest } from "./ingest.ts";
import { benchMemory } from "./memory.ts";
import { benchPickup } from "./pickup.ts";
import { benchQueue } from "./queue.ts";

const benches: Readonly<Record<string, (report: Report, options: BenchOptions) => Promise<void>>> = {
  chunk: benchChunk,
  extract: benchExtract,
  fair: benchFair,
  faults: benchFaults,
  horizon: benchHorizon,
  ingest: benchIngest,
  memory: benchMemory,
  pickup: benchPickup,
  queue: benchQueue,
};

const usage = `usage: npm run bench -- NAME [--json] [--rounds N] [--jobs N] [--only CONTESTANT]
  chunk    splitting by tokens beside LangChain's and LlamaIndex's splitters (no database); with
           RAG_RETRIEVAL_SET (a checkout's general_evaluation_data of chunking_evaluation) recall and precision
  extract  PDF and DOCX beside unpdf, pdf.js, mammoth, officeparser and pdftotext: speed, memory, and how much
           of the text comes out (RAG_CORPUS_DIR with MANIFEST.tsv and fidelity.py; no database)
  fair     how long a small tenant waits behind a big one; what caps cost, and whether they hold
  faults   real workers under injected faults, judged; recovery after a death, a standstill, a stop
           (--faults N --seed S --kinds a,b; a Postgres of its own: needs root)
  horizon  the queue under an old open snapshot, beside a million finished rows, beside many delayed ones
  ingest   documents/s, chunks/s, peak memory and the share of the ideal, with a provider of fixed latency
  memory   growth of a worker's memory with a 100 MB text file and a long PDF
  pickup   from a job's insert to the start of its handler, when idle, with each wake-up bus, beside the peers
  queue    trivial jobs a second beside graphile-worker and pg-boss, row versions and transactions a job
Needs DATABASE_URL (a Postgres with pgvector on which databases may be created); ingest measures the embedded
database too. RAG_CORPUS_DIR names a folder of documents (default: the demo's samples).
--rounds and --jobs change the queue's benches: how often each is run in turn, and with how many jobs;
--only runs the contestants alone whose name contains the word.
`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
    rounds: { type: "string" },
    jobs: { type: "string" },
    only: { type: "string" },
    // Read by the bench itself.
    faults: { type: "string" },
    seed: { type: "string" },
    kinds: { type: "string" },
  },
});
const bench = benches[positionals[0] ?? ""];
const numbers = { rounds: wholeNumber(values.rounds), jobs: wholeNumber(values.jobs) };
if (bench === undefined || values.help || Object.values(numbers).some(Number.isNaN)) {
  process.stderr.write(usage);
  process.exitCode = values.help ? 0 : 2;
} else {
  await bench(
    (figure) => {
      process.stdout.write(values.json ? `${JSON.stringify(figure)}\n` : tableRow(figure));
    },
    { ...numbers, only: values.only ?? null, progress: (line) => process.stderr.write(`${line}\n`) },
  );
}

/** null where nothing is asked; NaN for what is no number above zero. */
function wholeNumber(text: string | undefined): number | null {
  if (text === undefined) return null;
  const number = Number(text);
  return Number.isInteger(number) && number > 0 ? number : Number.NaN;
}

function tableRow(figure: Figure): string {
  const value = Number(figure.value.toPrecision(4));
  const unit = figure.ratio_to === undefined ? figure.unit : `of ${figure.ratio_to}`;
  return `${figure.case.padEnd(28)} ${figure.contestant.padEnd(16)} ${figure.metric.padEnd(16)} ${String(value).padStart(10)} ${unit}\n`;
}
