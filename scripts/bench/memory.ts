// Whether a worker's memory grows with its input: an idle worker, a 100 MB text file, and the longest PDF there is.
import { cp, mkdtemp, open, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { startEmbeddingServer } from "../../worker/tests/stand-ins/embedding-server.ts";
import type { Report } from "./figure.ts";
import { runWorkerOnce } from "./worker-run.ts";
import { enqueueFiles, openPostgresWorld } from "./worlds.ts";

const DIMENSIONS = 64;

export async function benchMemory(report: Report): Promise<void> {
  const root = await mkdtemp(join(tmpdir(), "rag-bench-root-"));
  try {
    await writeText(join(root, "10.txt"), 10);
    await writeText(join(root, "100.txt"), 100);
    const pdf = await longestPdf(root);
    const idle = await peakOf([], root);
    const say = (name: string, peak: { peakMb: number; peakTreeMb: number }) => {
      const figure = { bench: "memory", case: name, contestant: "postgres", unit: "MB" };
      report({ ...figure, metric: "peak RSS", value: peak.peakMb });
      report({ ...figure, metric: "above idle", value: peak.peakMb - idle.peakMb });
      report({ ...figure, metric: "tree above idle", value: peak.peakTreeMb - idle.peakTreeMb });
    };
    say("idle", idle);
    say("text of 10 MB", await peakOf(["10.txt"], root));
    say("text of 100 MB", await peakOf(["100.txt"], root));
    say("longest PDF", await peakOf([pdf], root));
  } finally {
    await rm(root, { recursive: true });
  }
}

async function peakOf(files: readonly string[], root: string) {
  const world = await openPostgresWorld();
  const server = await startEmbeddingServer({ dimensions: DIMENSIONS, latencyMs: 5 });
  try {
    await enqueueFiles(world, files);
    return await runWorkerOnce({
      ...world.settings,
      OPENAI_BASE_URL: server.baseUrl,
      OPENAI_API_KEY: "sk-bench",
      RAG_EMBEDDING_MODEL: "stand-in",
      RAG_EMBEDDING_DIMENSIONS: String(DIMENSIONS),
      RAG_EMBEDDING_BATCH: "64",
      RAG_EXTRACT_TIMEOUT_SECONDS: "1200",
      RAG_DOCUMENT_ROOT: root,
      LOG_LEVEL: "warn",
    });
  } finally {
    await server.close();
    await world.close();
  }
}

/** Plain English-like text of that many megabytes, no two paragraphs alike. */
async function writeText(path: string, megabytes: number): Promise<void> {
  const file = await open(path, "w");
  let at = 0;
  for (let written = 0; written < megabytes * 1024 * 1024; ) {
    let block = "";
    while (block.length < 262_144) {
      at += 1;
      block += `Paragraph ${at} of this long report tells how item ${(at * 7919) % 100_003} was weighed, measured and put away. The keeper wrote it down, and nobody has moved it since. Whoever looks for it will find it on shelf ${at % 977}.\n\n`;
    }
    written += (await file.write(block)).bytesWritten;
  }
  await file.close();
}

async function longestPdf(root: string): Promise<string> {
  const corpus = process.env.RAG_CORPUS_DIR ?? fileURLToPath(new URL("../demo/samples", import.meta.url));
  const names = (await readdir(corpus)).filter((name) => name.endsWith(".pdf"));
  const sizes = await Promise.all(names.map(async (name) => (await stat(join(corpus, name))).size));
  const longest = names[sizes.indexOf(Math.max(...sizes))];
  if (longest === undefined) throw new Error(`There is no PDF in ${corpus}.`);
  await cp(join(corpus, longest), join(root, longest));
  return longest;
}
