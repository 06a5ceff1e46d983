// npm run bench -- NAME: measurements that can be repeated; figures come out as a table or, with --json, one
// line each: {bench, case, contestant, metric, value, unit, ratio_to}.
import { parseArgs } from "node:util";
import { benchActivity } from "./activity.ts";
import { benchChunk } from "./chunk.ts";
import { benchDashboard } from "./dashboard.ts";
import { benchEmbed } from "./embed.ts";
import { benchExtract } from "./extract.ts";
import { benchFair } from "./fair.ts";
import { benchFaults } from "./faults.ts";
import type { BenchOptions, Figure, Report } from "./figure.ts";
import { benchFolder } from "./folder.ts";
import { benchGateway } from "./gateway.ts";
import { benchHorizon } from "./horizon.ts";
import { benchIdle } from "./idle.ts";
import { benchIngest } from "./ingest.ts";
import { benchMemory } from "./memory.ts";
import { benchPacing } from "./pacing.ts";
import { benchPickup } from "./pickup.ts";
import { benchPipeline } from "./pipeline.ts";
import { benchQueue } from "./queue.ts";
import { benchRelate } from "./relate.ts";
import { benchScrape } from "./scrape.ts";
import { benchSearch } from "./search.ts";
import { benchStart } from "./start.ts";
import { benchWrite } from "./write.ts";

const benches: Readonly<Record<string, (report: Report, options: BenchOptions) => Promise<void>>> = {
  activity: benchActivity,
  chunk: benchChunk,
  dashboard: benchDashboard,
  embed: benchEmbed,
  extract: benchExtract,
  fair: benchFair,
  faults: benchFaults,
  folder: benchFolder,
  gateway: benchGateway,
  horizon: benchHorizon,
  idle: benchIdle,
  ingest: benchIngest,
  memory: benchMemory,
  pacing: benchPacing,
  pickup: benchPickup,
  pipeline: benchPipeline,
  queue: benchQueue,
  relate: benchRelate,
  scrape: benchScrape,
  search: benchSearch,
  start: benchStart,
  write: benchWrite,
};

const usage = `usage: npm run bench -- NAME [--json] [--rounds N] [--jobs N] [--only CONTESTANT]
  activity what an entry of the activity log costs whoever logs, and rows a second into Postgres
  chunk    splitting by tokens beside LangChain's and LlamaIndex's splitters, counting runs of 4 MiB, the memory
           of cutting by meaning (no database); with
           RAG_RETRIEVAL_SET (a checkout's general_evaluation_data of chunking_evaluation) recall and precision
  dashboard beside a million finished jobs (--jobs N): an update, the lists of jobs, and the page in a browser
           (RAG_TEST_CHROMIUM)
  embed    chunks a CPU second, memory and first use of the three providers, the embedded model's two engines apart;
           llama-server with LLAMA_SERVER_MODEL; with RAG_RETRIEVAL_SET the recall of the embedded model's integers
           beside full precision (--kinds names its corpora; no database)
  extract  PDF and DOCX beside unpdf, pdf.js, mammoth, officeparser and pdftotext: speed, memory, and how much
           of the text comes out (RAG_CORPUS_DIR with MANIFEST.tsv and fidelity.py; no database)
  fair     how long a small tenant waits behind a big one; what caps cost, and whether they hold
  faults   real workers under injected faults, judged; recovery after a death, a standstill, a stop
           (--faults N --seed S --kinds a,b; a Postgres of its own: needs root)
  folder   rag ingest of 20,000 small files, again unchanged, and with one changed, moved and gone (--jobs N: files)
  gateway  from an event on Redis to the client with a thousand sockets open (REDIS_URL; no database)
  horizon  the queue under an old open snapshot, beside a million finished rows, beside many delayed ones
  idle     transactions a second of ten replicas that wait for work (--jobs N: replicas)
  ingest   documents/s, chunks/s, peak memory and the share of the ideal, with a provider of fixed latency
  memory   growth of a worker's memory with 10 and 100 MB of text, with 100 and 5,000 pages of PDF
  pacing   how much of a provider's changing allowance three replicas use, and how often it refuses them
  pickup   from a job's insert to the start of its handler, when idle, with each wake-up bus, beside the peers
  pipeline 20 MB of Markdown in 1,500 documents to live vectors beside LangChain.js, LlamaIndex.TS and a bare loop
           that splits, embeds and copies; a few large files; a quarter of the documents (--jobs N: documents)
  queue    trivial jobs a second beside graphile-worker and pg-boss, row versions and transactions a job
  relate   relationships of one document among 100,000 chunks (--jobs N: chunks): its like by the index beside a scan,
           and all five types
  scrape   what a scrape of /metrics and a look at one job cost, and what share of a job's processor time that is
  search   recall at 5 and latency of the three searches at 10,000 and 200,000 chunks, beside BM25 in memory
           (needs RAG_RETRIEVAL_SET; --jobs N for one number of chunks)
  start    rag --help, and from the start of a worker to its first claim
  write    chunks a second into the table by each transport beside bare COPY; under live search beside a live index,
           with latency and recall of the searches (1,536 and 384 dimensions)
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
