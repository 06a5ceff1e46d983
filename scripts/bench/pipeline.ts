// Documents to live vectors, beside what a user would write instead: LangChain.js and LlamaIndex.TS with their
// pgvector stores, and a bare loop that shows what our splitter and our table allow. Everybody gets the same files,
// the same stand-in provider, as many requests in flight and as many texts in one. Ours goes the whole way: claimed
// from the queue, read in the child process, hashed, compared, staged and switched live.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { asked, type BenchOptions, type Report } from "./figure.ts";
import { installPeers } from "./peers.ts";
import { type Corpus, writeCorpus } from "./pipeline/corpus.ts";
import { type RivalName, rivalNames } from "./pipeline/rival.ts";
import { type Run, runRival, type Shape } from "./pipeline/run-rival.ts";

type Contestant = { readonly name: RivalName | "ours" };
type Case = { readonly name: string; readonly corpus: Corpus; readonly shape: Shape };

const MEGABYTES = 20;
const DOCUMENTS = 1500;
const LARGE_DOCUMENTS = 5;
const SEED = 20_261_122;
const ROUNDS = 3;
// At some 70 chunks/s it would take the whole evening; a tenth of the documents shows its rate as well.
const SHARE_OF_LLAMAINDEX = 0.1;
const LIMITS = {
  model: "text-embedding-3-small",
  dimensions: 1536,
  batch: 128,
  concurrency: 8,
  chunkChars: 1200,
};
const contestants: readonly Contestant[] = [{ name: "ours" }, ...rivalNames.map((name) => ({ name }))];

/** --jobs N: so many documents instead of 1,500, of the same sizes. */
export async function benchPipeline(report: Report, options: BenchOptions): Promise<void> {
  installPeers();
  const folder = process.env.RAG_CORPUS_DIR ?? fileURLToPath(new URL("../demo/samples", import.meta.url));
  const root = await mkdtemp(join(tmpdir(), "rag-bench-root-"));
  const write = async (name: string, documents: number, megabytes: number): Promise<Case> => {
    const own = join(root, name.replaceAll(/\W+/g, "-"));
    const corpus = await writeCorpus(folder, own, { documents, bytes: megabytes * 1_000_000, seed: SEED });
    return { name, corpus, shape: { ...LIMITS, root: own, names: corpus.names } };
  };
  const documents = options.jobs ?? DOCUMENTS;
  const megabytes = (MEGABYTES * documents) / DOCUMENTS;
  try {
    const whole = await write("many documents", documents, megabytes);
    const large = await write("few large files", LARGE_DOCUMENTS, megabytes);
    const quarter = await write("a quarter of them", Math.ceil(documents / 4), megabytes / 4);
    const all = asked(contestants, options);
    await compare(whole, all, options, report);
    await compare(large, all, options, report);
    await compare(quarter, asked([{ name: "ours" }], options), options, report);
  } finally {
    await rm(root, { recursive: true });
  }
}

/** Interleaved: each round runs everybody once. Reports the medians, and each in relation to ours. */
async function compare(
  given: Case,
  entries: readonly Contestant[],
  options: BenchOptions,
  report: Report,
): Promise<void> {
  const runs = new Map<Contestant["name"], Run[]>();
  const failed = new Set<Contestant["name"]>();
  for (let round = 1; round <= (options.rounds ?? ROUNDS); round += 1) {
    for (const { name } of entries) {
      if (failed.has(name)) continue;
      try {
        const run = await runRival(name, partOf(given, name).shape);
        runs.set(name, [...(runs.get(name) ?? []), run]);
        options.progress(
          `${given.name}, round ${round}: ${name} ${run.seconds.toFixed(1)} s, ${Math.round(run.chunks / run.seconds)} chunks/s`,
        );
      } catch (thrown) {
        failed.add(name);
        options.progress(`${given.name}: ${name} did not survive: ${String(thrown).slice(0, 600)}`);
      }
    }
  }
  tell(given, runs, report);
}

/** What a contestant is given: at least one file. */
function partOf(given: Case, name: Contestant["name"]) {
  const { names } = given.corpus;
  const count = name.startsWith("llamaindex") ? Math.ceil(names.length * SHARE_OF_LLAMAINDEX) : names.length;
  return { shape: { ...given.shape, names: names.slice(0, count) }, share: count / names.length };
}

const median = (values: readonly number[]) =>
  [...values].sort((one, other) => one - other)[Math.floor(values.length / 2)] ?? Number.NaN;

function tell(given: Case, runs: ReadonlyMap<Contestant["name"], readonly Run[]>, report: Report): void {
  const of = (name: Contestant["name"], value: (run: Run) => number) =>
    median((runs.get(name) ?? []).map(value));
  const chunksPerSecond = (run: Run) => run.chunks / run.seconds;
  const ours = of("ours", chunksPerSecond);
  for (const contestant of runs.keys()) {
    const say = { bench: "pipeline", case: given.name, contestant };
    const { share } = partOf(given, contestant);
    const tellOne = (metric: string, unit: string, value: (run: Run) => number) =>
      report({ ...say, metric, value: of(contestant, value), unit });
    tellOne("wall", "s", (run) => run.seconds);
    tellOne("chunks", "", (run) => run.chunks);
    tellOne("chunks/s", "1/s", chunksPerSecond);
    tellOne("MB/s", "MB/s", (run) => (share * given.corpus.bytes) / 1_000_000 / run.seconds);
    tellOne("requests", "", (run) => run.requests);
    tellOne("texts sent", "", (run) => run.texts);
    tellOne("peak RSS, tree", "MB", (run) => run.peakMb);
    tellOne("CPU, tree", "s", (run) => run.cpuSeconds);
    if (contestant === "ours" || Number.isNaN(ours)) continue;
    const ratio_to = `${contestant}'s chunks/s`;
    report({
      ...say,
      contestant: "ours",
      metric: "chunks/s",
      value: ours / of(contestant, chunksPerSecond),
      unit: "ratio",
      ratio_to,
    });
  }
}
