// How close a worker comes to what its provider allows: a stand-in server answers each request after a fixed
// time, so the ideal is requests / concurrency * latency, with every request full. Measured from the first claim
// to the last completion, as the database's clock has it; of several rounds the median.
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Report } from "./figure.ts";
import { startProvider } from "./ingest-provider.ts";
import { runWorkerOnce } from "./worker-run.ts";
import { type BenchWorld, enqueueFiles, openEmbeddedWorld, openPostgresWorld, resultOf } from "./worlds.ts";

const LATENCY_MS = 250;
const BATCH = 16;
const CONCURRENCY = 4;
const DIMENSIONS = 384;
// One run is never the same as the next on a machine that does other things as well.
const ROUNDS = 3;
// Enough jobs at once that short documents can fill the requests.
const JOBS = 128;
// The text files once are a second of work, all of it cold start. Copies, each with words of its own, make half a
// minute of them: of a run of 15 s the start's 1.5 s are a tenth.
const TEXT_COPIES = 48;
const TEXT = new Set([".txt", ".md", ".vtt", ".srt"]);

export async function benchIngest(report: Report): Promise<void> {
  const corpus = process.env.RAG_CORPUS_DIR ?? fileURLToPath(new URL("../demo/samples", import.meta.url));
  const root = await mkdtemp(join(tmpdir(), "rag-bench-root-"));
  try {
    const texts = await copyTexts(corpus, root);
    const all = await copyAll(corpus, root);
    for (const open of [openPostgresWorld, openEmbeddedWorld]) {
      await measureRounds(open, { name: `text files, ${TEXT_COPIES} copies`, files: texts, root }, report);
      await measureRounds(open, { name: "all files", files: all, root }, report);
    }
  } finally {
    await rm(root, { recursive: true });
  }
}

type Case = { readonly name: string; readonly files: readonly string[]; readonly root: string };
type Values = Readonly<Record<string, number>>;

const UNITS: Readonly<Record<string, string>> = {
  "documents/s": "1/s",
  "chunks/s": "1/s",
  "peak RSS": "MB",
  "peak RSS, tree": "MB",
};
const IDEAL = `the ideal (${LATENCY_MS} ms, batch ${BATCH}, concurrency ${CONCURRENCY})`;

/** Each round in a world of its own; reports the medians, and how far apart the shares were. */
async function measureRounds(open: () => Promise<BenchWorld>, given: Case, report: Report): Promise<void> {
  const rounds: Values[] = [];
  let contestant = "";
  for (let round = 0; round < ROUNDS; round += 1) {
    const world = await open();
    contestant = world.name;
    rounds.push(await measure(world, given).finally(() => world.close()));
  }
  const say = { bench: "ingest", case: given.name, contestant };
  for (const metric of Object.keys(rounds[0] ?? {})) {
    const values = rounds.map((round) => round[metric] ?? Number.NaN).sort((one, other) => one - other);
    const value = values[Math.floor(values.length / 2)] ?? Number.NaN;
    if (metric !== "share") {
      report({ ...say, metric, value, unit: UNITS[metric] ?? "" });
      continue;
    }
    report({ ...say, metric, value, unit: "ratio", ratio_to: IDEAL });
    report({
      ...say,
      metric: "share, lowest",
      value: values[0] ?? Number.NaN,
      unit: "ratio",
      ratio_to: IDEAL,
    });
  }
}

async function measure(world: BenchWorld, { files, root }: Case): Promise<Values> {
  const provider = await startProvider({ dimensions: DIMENSIONS, latencyMs: LATENCY_MS });
  try {
    await enqueueFiles(world, files);
    const run = await runWorkerOnce({
      ...world.settings,
      OPENAI_BASE_URL: provider.baseUrl,
      OPENAI_API_KEY: "sk-bench",
      RAG_EMBEDDING_MODEL: "stand-in",
      RAG_EMBEDDING_DIMENSIONS: String(DIMENSIONS),
      RAG_EMBEDDING_BATCH: String(BATCH),
      RAG_EMBEDDING_CONCURRENCY: String(CONCURRENCY),
      RAG_JOB_CONCURRENCY: String(JOBS),
      RAG_DOCUMENT_ROOT: root,
      LOG_LEVEL: "warn",
    });
    const [result, seen] = await Promise.all([resultOf(world), provider.seen()]);
    const idealSeconds = (Math.ceil(seen.texts / BATCH) / CONCURRENCY) * (LATENCY_MS / 1000);
    return {
      documents: result.documents,
      failed: result.failed,
      "documents/s": result.documents / result.seconds,
      "chunks/s": result.chunks / result.seconds,
      requests: seen.requests,
      "texts a request": seen.texts / seen.requests,
      "peak RSS": run.peakMb,
      "peak RSS, tree": run.peakTreeMb,
      share: idealSeconds / result.seconds,
    };
  } finally {
    await provider.close();
  }
}

/** Copies whose words differ, so that no text is reused instead of sent. Files not in UTF-8 are copied once. */
async function copyTexts(corpus: string, root: string): Promise<readonly string[]> {
  const names: string[] = [];
  for (const name of await documentsOf(corpus)) {
    if (!TEXT.has(extname(name))) continue;
    const bytes = await readFile(join(corpus, name));
    const text = bytes.toString("utf8");
    // Files without text are measured with all files: they end before the provider is asked.
    if (text.trim().length < 40) continue;
    const isUtf8 = !text.includes("\uFFFD") && !text.includes("\0");
    for (let copy = 1; copy <= (isUtf8 ? TEXT_COPIES : 1); copy += 1) {
      const own = join("texts", String(copy), name);
      await mkdir(join(root, "texts", String(copy)), { recursive: true });
      const words = isUtf8 ? text.replaceAll(/([.!?。])(\s)/g, `$1 [${copy}]$2`) : bytes;
      await writeFile(join(root, own), words);
      names.push(own);
    }
  }
  return names;
}

async function copyAll(corpus: string, root: string): Promise<readonly string[]> {
  await mkdir(join(root, "all"));
  const names = await documentsOf(corpus);
  for (const name of names) await cp(join(corpus, name), join(root, "all", name));
  return names.map((name) => join("all", name));
}

/** Documents of the folder, without the truth and tools that may lie beside them. */
async function documentsOf(folder: string): Promise<readonly string[]> {
  const known = new Set([...TEXT, ".pdf", ".docx", ".html", ".json"]);
  const beside = /\.(truth|headings|layout|raw|full)\.txt$/;
  const names = await readdir(folder);
  return names.filter((name) => known.has(extname(name)) && !beside.test(name)).sort();
}
