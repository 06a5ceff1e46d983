// What a chunk costs with each provider: chunks a CPU second and a second of the clock, memory, and the time from
// nothing to the first vector. Each contestant has a process of its own; what a llama-server takes is counted in.
// With a retrieval set, how much recall the embedded model's integers cost.
import { execFile } from "node:child_process";
import { glob, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { z } from "zod";
import { openChunker } from "../../worker/chunkers/open-chunker.ts";
import { openTokenizer } from "../../worker/tokenizers/open-tokenizer.ts";
import { median, medianRatio } from "./contestants/quantiles.ts";
import { benchPrecision } from "./embedders/precision.ts";
import { asked, type BenchOptions, type Report } from "./figure.ts";
import { startProvider } from "./ingest-provider.ts";
import { segmentsOf } from "./splitters/open-splitter.ts";

const run = promisify(execFile);
const child = fileURLToPath(new URL("./embedders/embedder-process.ts", import.meta.url));
const ROUNDS = 3;
const SECONDS = 8;
const CHUNKS = 192;
const TOKENS = 256;
const CHARS = 1200;
// One token for BERT, many for llama-server: the contestants would not read the same.
const LONG_WORD = /\S{100}/;
const OPENAI_DIMENSIONS = 1536;

const contestants = [
  { name: "embedded" },
  { name: "embedded, WebAssembly" },
  { name: "llama-server" },
  { name: "openai, a stub" },
] as const;
type Name = (typeof contestants)[number]["name"];

const answered = z.object({
  chunks: z.number(),
  cpuSeconds: z.number(),
  seconds: z.number(),
  firstMs: z.number(),
  againMs: z.number(),
  rssMb: z.number(),
  serverMb: z.number(),
});
type Answered = z.infer<typeof answered>;

export async function benchEmbed(report: Report, options: BenchOptions): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "rag-bench-embed-"));
  const stub = await startProvider({ dimensions: OPENAI_DIMENSIONS });
  try {
    const texts = await readChunks();
    await writeFile(join(folder, "texts.json"), JSON.stringify(texts));
    const settings = settingsOf(stub.baseUrl);
    const here = asked(contestants, options).filter(({ name }) => settings[name] !== null);
    if (settings["llama-server"] === null)
      options.progress("Without LLAMA_SERVER_MODEL llama-server is left out.");
    const answers = new Map<Name, Answered[]>(here.map(({ name }) => [name, []]));
    const rounds = options.rounds ?? ROUNDS;
    for (let round = 1; round <= rounds; round += 1)
      for (const { name } of here) {
        const answer = await measure(folder, settings[name] ?? {});
        answers.get(name)?.push(answer);
        const rate = (answer.chunks / answer.cpuSeconds).toFixed(1);
        options.progress(`round ${round}/${rounds}  ${name}  ${rate} chunks a CPU second`);
      }
    for (const [name, mine] of answers) reportOn(name, mine, answers.get("embedded") ?? [], report);
  } finally {
    await stub.close();
    await rm(folder, { recursive: true });
  }
  const set = process.env.RAG_RETRIEVAL_SET;
  if (set === undefined) options.progress("Without RAG_RETRIEVAL_SET no retrieval is measured.");
  else await benchPrecision(set, report, options);
}

function settingsOf(stubUrl: string): Readonly<Record<Name, Readonly<Record<string, string>> | null>> {
  const { LLAMA_SERVER_MODEL: model, LLAMA_SERVER_BIN: program = "llama-server" } = process.env;
  return {
    embedded: {},
    "embedded, WebAssembly": { engine: "wasm" },
    "llama-server": model === undefined ? null : { LLAMA_SERVER_MODEL: model, LLAMA_SERVER_BIN: program },
    "openai, a stub": {
      OPENAI_BASE_URL: stubUrl,
      OPENAI_API_KEY: "sk-bench",
      RAG_EMBEDDING_MODEL: "text-embedding-3-small",
    },
  };
}

async function measure(folder: string, settings: Readonly<Record<string, string>>): Promise<Answered> {
  const args = [child, join(folder, "texts.json"), String(SECONDS), JSON.stringify(settings)];
  const { stdout } = await run(process.execPath, args, { maxBuffer: 1 << 20 });
  return answered.parse(JSON.parse(stdout));
}

function reportOn(
  contestant: Name,
  mine: readonly Answered[],
  ours: readonly Answered[],
  report: Report,
): void {
  const figure = { bench: "embed", case: `chunks of ${CHARS} characters`, contestant };
  const say = (metric: string, unit: string, value: (answer: Answered) => number) =>
    report({ ...figure, metric, value: median(mine.map(value)), unit });
  const perCpu = ({ chunks, cpuSeconds }: Answered) => chunks / cpuSeconds;
  say("per CPU second", "chunks", perCpu);
  say("per second", "chunks", ({ chunks, seconds }) => chunks / seconds);
  say("first use, new", "ms", ({ firstMs }) => firstMs);
  say("first use, again", "ms", ({ againMs }) => againMs);
  say("RSS", "MB", ({ rssMb }) => rssMb);
  if (contestant === "llama-server") say("RSS of it", "MB", ({ serverMb }) => serverMb);
  if (contestant === "embedded, WebAssembly" && ours.length > 0)
    report({
      ...figure,
      metric: "embedded",
      value: medianRatio(ours.map(perCpu), mine.map(perCpu)),
      unit: "",
      ratio_to: contestant,
    });
}

/** Chunks as the worker cuts them, from the documentation that the installed packages bring. */
async function readChunks(): Promise<readonly string[]> {
  const folder = join(import.meta.dirname, "..", "..", "node_modules");
  const paths: string[] = [];
  for await (const path of glob("**/README.md", { cwd: folder })) paths.push(path);
  const limits = { tokens: TOKENS, overlapTokens: 0, chars: CHARS };
  const { cut } = openChunker("recursive", limits, openTokenizer("bert-wordpiece"));
  const noEmbedding = async () => [];
  const chunks: string[] = [];
  for (const path of paths.sort())
    for await (const { content } of cut(
      segmentsOf(await readFile(join(folder, path), "utf8")),
      noEmbedding,
    )) {
      if (content.length > CHARS / 2 && !LONG_WORD.test(content)) chunks.push(content);
      if (chunks.length === CHUNKS) return chunks;
    }
  return chunks;
}
