// How close a worker comes to what its provider allows: a stand-in server answers each request after a fixed
// time, so the ideal is requests / concurrency * latency, with every request full.
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { startEmbeddingServer } from "../../worker/tests/stand-ins/embedding-server.ts";
import type { Report } from "./figure.ts";
import { runWorkerOnce } from "./worker-run.ts";
import { type BenchWorld, enqueueFiles, openEmbeddedWorld, openPostgresWorld, resultOf } from "./worlds.ts";

const LATENCY_MS = 250;
const BATCH = 16;
const CONCURRENCY = 4;
const DIMENSIONS = 384;
// Enough jobs at once that short documents can fill the requests.
const JOBS = 128;
// The text files once are a second of work: copies, each with words of its own, make the figure steady.
const TEXT_COPIES = 24;
const TEXT = new Set([".txt", ".md", ".vtt", ".srt"]);

export async function benchIngest(report: Report): Promise<void> {
  const corpus = process.env.RAG_CORPUS_DIR ?? fileURLToPath(new URL("../demo/samples", import.meta.url));
  const root = await mkdtemp(join(tmpdir(), "rag-bench-root-"));
  try {
    const texts = await copyTexts(corpus, root);
    const all = await copyAll(corpus, root);
    for (const open of [openPostgresWorld, openEmbeddedWorld]) {
      await measure(await open(), "text files", texts, root, report);
      await measure(await open(), "all files", all, root, report);
    }
  } finally {
    await rm(root, { recursive: true });
  }
}

async function measure(
  world: BenchWorld,
  name: string,
  files: readonly string[],
  root: string,
  report: Report,
): Promise<void> {
  const server = await startEmbeddingServer({ dimensions: DIMENSIONS, latencyMs: LATENCY_MS });
  try {
    await enqueueFiles(world, files);
    const run = await runWorkerOnce({
      ...world.settings,
      OPENAI_BASE_URL: server.baseUrl,
      OPENAI_API_KEY: "sk-bench",
      RAG_EMBEDDING_MODEL: "stand-in",
      RAG_EMBEDDING_DIMENSIONS: String(DIMENSIONS),
      RAG_EMBEDDING_BATCH: String(BATCH),
      RAG_EMBEDDING_CONCURRENCY: String(CONCURRENCY),
      RAG_JOB_CONCURRENCY: String(JOBS),
      RAG_DOCUMENT_ROOT: root,
      LOG_LEVEL: "warn",
    });
    const result = await resultOf(world);
    const ideal = (Math.ceil(server.seen.texts / BATCH) / CONCURRENCY) * (LATENCY_MS / 1000);
    const say = (metric: string, value: number, unit: string) =>
      report({ bench: "ingest", case: name, contestant: world.name, metric, value, unit });
    say("documents", result.documents, "");
    say("failed", result.failed, "");
    say("documents/s", result.documents / result.seconds, "1/s");
    say("chunks/s", result.chunks / result.seconds, "1/s");
    say("requests", server.seen.requests, "");
    say("texts a request", server.seen.texts / server.seen.requests, "");
    say("peak RSS", run.peakMb, "MB");
    say("peak RSS, tree", run.peakTreeMb, "MB");
    report({
      bench: "ingest",
      case: name,
      contestant: world.name,
      metric: "share",
      value: ideal / result.seconds,
      unit: "ratio",
      ratio_to: `the ideal ${ideal.toFixed(2)} s (${LATENCY_MS} ms, batch ${BATCH}, concurrency ${CONCURRENCY})`,
    });
  } finally {
    await server.close();
    await world.close();
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
