// Whether a worker's memory grows with its input: an idle worker, 10 and 100 MB of text, 100 and 5,000 pages of PDF.
import { mkdtemp, open, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makePdf } from "../../worker/extractors/testing/make-pdf.ts";
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
    await writePdf(join(root, "100.pdf"), 100);
    await writePdf(join(root, "5000.pdf"), 5000);
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
    say("PDF of 100 pages", await peakOf(["100.pdf"], root));
    say("PDF of 5,000 pages", await peakOf(["5000.pdf"], root));
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

/** Pages of fifty lines with a number and a heading, 4 KB each. */
async function writePdf(path: string, pages: number): Promise<void> {
  const page = (number: number) => [
    { text: `Part ${number}`, y: 790, size: 16 },
    ...Array.from({ length: 50 }, (_, line) => ({
      text: `Line ${line} of page ${number} tells how item ${(number * 7919 + line) % 100_003} was weighed and put away.`,
      y: 750 - line * 14,
    })),
    { text: String(number), y: 30 },
  ];
  await writeFile(path, makePdf({ pages: Array.from({ length: pages }, (_, at) => page(at + 1)) }));
}
