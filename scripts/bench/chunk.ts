// Splitting by tokens: megabytes a CPU second beside LangChain's and LlamaIndex's splitters; counting what nobody
// writes; the memory of cutting by meaning; and, with a retrieval set, how much of what a question asks for is in the
// five chunks that are found.
import { execFile } from "node:child_process";
import { glob, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { z } from "zod";
import { median, medianRatio } from "./contestants/quantiles.ts";
import { asked, type BenchOptions, type Report } from "./figure.ts";
import { installPeers } from "./peers.ts";
import { benchCounting } from "./splitters/counting.ts";
import { benchRetrieval } from "./splitters/retrieval.ts";
import { benchSemanticMemory } from "./splitters/semantic-memory.ts";

const run = promisify(execFile);
const child = fileURLToPath(new URL("./splitters/splitter-process.ts", import.meta.url));
const TOKENS = 512;
const OVERLAP = 64;
const ROUNDS = 3;
const SECONDS = 4;
// LlamaIndex needs a second for each 0.1 to 0.5 MB.
const TEXT_BYTES = 1_000_000;
const contestants = [
  { name: "ours" },
  { name: "langchain" },
  { name: "langchain, js-tiktoken" },
  { name: "llamaindex" },
] as const;

const answered = z.object({ chunks: z.number(), cpuSeconds: z.number(), bytes: z.number() });

export async function benchChunk(report: Report, options: BenchOptions): Promise<void> {
  installPeers();
  const folder = await mkdtemp(join(tmpdir(), "rag-bench-chunk-"));
  try {
    const texts = await readTexts();
    const path = join(folder, "text.txt");
    for (const [name, text] of Object.entries(texts)) {
      await writeFile(path, text);
      await measureSpeed(name, path, report, options);
    }
    // Both are ours alone: there is nobody to name.
    if (options.only === null) {
      benchCounting(texts["English prose"] ?? "", report, options);
      await benchSemanticMemory(path, report, options);
    }
  } finally {
    await rm(folder, { recursive: true });
  }
  const set = process.env.RAG_RETRIEVAL_SET;
  if (set !== undefined) await benchRetrieval(set, report, options);
  else options.progress("Without RAG_RETRIEVAL_SET no retrieval is measured.");
}

async function measureSpeed(
  name: string,
  path: string,
  report: Report,
  options: BenchOptions,
): Promise<void> {
  const here = asked(contestants, options);
  const rates = new Map<string, number[]>(here.map((one) => [one.name, []]));
  const rounds = options.rounds ?? ROUNDS;
  for (let round = 1; round <= rounds; round += 1)
    for (const one of here) {
      const args = [child, one.name, path, TOKENS, OVERLAP, SECONDS].map(String);
      const { stdout } = await run(process.execPath, args, { maxBuffer: 1 << 20 });
      const { chunks, cpuSeconds, bytes } = answered.parse(JSON.parse(stdout));
      const rate = bytes / 1_000_000 / cpuSeconds;
      rates.get(one.name)?.push(rate);
      options.progress(
        `${name}, round ${round}/${rounds}  ${one.name}  ${rate.toFixed(2)} MB/s, ${chunks} chunks`,
      );
    }
  const ours = rates.get("ours") ?? [];
  for (const one of here) {
    const mine = rates.get(one.name) ?? [];
    const figure = { bench: "chunk", case: `${name}, ${TOKENS}/${OVERLAP}`, contestant: one.name };
    report({ ...figure, metric: "per CPU second", value: median(mine), unit: "MB" });
    if (one.name !== "ours" && ours.length > 0)
      report({ ...figure, metric: "ours", value: medianRatio(ours, mine), unit: "", ratio_to: one.name });
  }
}

/** English prose where a corpus is given, and the Markdown that the installed packages bring. */
async function readTexts(): Promise<Readonly<Record<string, string>>> {
  const corpus = process.env.RAG_CORPUS_DIR;
  const prose = corpus === undefined ? "" : await gather(corpus, ENGLISH);
  const markdown = await gather(join(import.meta.dirname, "..", "..", "node_modules"), "**/README.md");
  return { ...(prose !== "" && { "English prose": prose }), Markdown: markdown };
}

const ENGLISH = "{tracemonkey,assembled-120p,pdkids-55p,owner-password-tika-41p}.pdf.truth.txt";

async function gather(folder: string, pattern: string): Promise<string> {
  const paths: string[] = [];
  for await (const path of glob(pattern, { cwd: folder })) paths.push(path);
  let text = "";
  for (const path of paths.sort()) {
    if (text.length > TEXT_BYTES) break;
    text += `${await readFile(join(folder, path), "utf8")}\n\n`;
  }
  return text.slice(0, TEXT_BYTES);
}
