// npm run bench -- NAME: measurements that can be repeated; figures come out as a table or, with --json, one
// line each: {bench, case, contestant, metric, value, unit, ratio_to}.
import { parseArgs } from "node:util";
import type { Figure, Report } from "./figure.ts";
import { benchIngest } from "./ingest.ts";
import { benchMemory } from "./memory.ts";

const benches: Readonly<Record<string, (report: Report) => Promise<void>>> = {
  ingest: benchIngest,
  memory: benchMemory,
};

const usage = `usage: npm run bench -- NAME [--json]
  ingest   documents/s, chunks/s, peak memory and the share of the ideal, with a provider of fixed latency
  memory   growth of a worker's memory with a 100 MB text file and a long PDF
Needs DATABASE_URL (a Postgres with pgvector on which databases may be created); the embedded database is
measured too. RAG_CORPUS_DIR names a folder of documents (default: the demo's samples).
`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { json: { type: "boolean", default: false }, help: { type: "boolean", default: false } },
});
const bench = benches[positionals[0] ?? ""];
if (bench === undefined || values.help) {
  process.stderr.write(usage);
  process.exitCode = values.help ? 0 : 2;
} else {
  await bench((figure) => {
    process.stdout.write(values.json ? `${JSON.stringify(figure)}\n` : tableRow(figure));
  });
}

function tableRow(figure: Figure): string {
  const value = Number(figure.value.toPrecision(4));
  const unit = figure.ratio_to === undefined ? figure.unit : `of ${figure.ratio_to}`;
  return `${figure.case.padEnd(28)} ${figure.contestant.padEnd(10)} ${figure.metric.padEnd(16)} ${String(value).padStart(10)} ${unit}\n`;
}
