// One provider in a process of its own: TEXTS.json SECONDS SETTINGS as JSON. Says in one line what it measured.
import { readFileSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { readConfig } from "../../../worker/config/config.ts";
import type { EncodingTokenizer } from "../../../worker/document/tokenizer.ts";
import { openBatcher } from "../../../worker/embedders/batch.ts";
import { openEmbedded } from "../../../worker/embedders/embedded.ts";
import type { Embedder } from "../../../worker/embedders/embedder.ts";
import { openEmbedder } from "../../../worker/embedders/open-embedder.ts";
import { openTokenizer } from "../../../worker/tokenizers/open-tokenizer.ts";

const [textsPath = "", seconds = "5", settingsText = "{}"] = process.argv.slice(2);
const never = new AbortController().signal;
const texts = z.array(z.string()).parse(JSON.parse(readFileSync(textsPath, "utf8")));
const { engine, ...settings } = z.record(z.string(), z.string()).parse(JSON.parse(settingsText));
const TICKS_A_SECOND = 100;

async function open(cacheDir: string): Promise<Embedder> {
  if (engine === "wasm") {
    // SAFETY: WordPiece encodes.
    const tokenizer = openTokenizer("bert-wordpiece") as EncodingTokenizer;
    return await openEmbedded({ cacheDir, tokenizer, engine: "wasm" });
  }
  return await openEmbedder(readConfig(settings), {
    tokenizer: async (name) => openTokenizer(name),
    cacheDir,
  });
}

/** Milliseconds from nothing to a vector. */
async function firstUse(cacheDir: string): Promise<{ readonly embedder: Embedder; readonly ms: number }> {
  const startedAt = performance.now();
  const embedder = await open(cacheDir);
  await embedder.embed(["canary"], never);
  return { embedder, ms: performance.now() - startedAt };
}

/** CPU seconds of this process and of a server that it keeps. */
async function cpuSeconds(embedder: Embedder): Promise<number> {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6 + (await ticksOf((await embedder.server?.())?.pid)) / TICKS_A_SECOND;
}

async function ticksOf(pid: number | null | undefined): Promise<number> {
  if (pid === null || pid === undefined) return 0;
  const fields = (await readFile(`/proc/${pid}/stat`, "utf8").catch(() => ""))
    .replace(/^.*\) /, "")
    .split(" ");
  return Number(fields[11] ?? 0) + Number(fields[12] ?? 0);
}

const cacheDir = await mkdtemp(join(tmpdir(), "rag-bench-model-"));
const first = await firstUse(cacheDir);
await first.embedder.close();
const { embedder, ms: againMs } = await firstUse(cacheDir);
const config = readConfig(settings);
const batcher = openBatcher(embedder, {
  batch: config.embeddingBatch,
  concurrency: config.embeddingConcurrency,
});
const lanes = config.embeddingBatch * config.embeddingConcurrency;
// All threads of the embedded model are up, and every path was taken once.
await batcher.embed(texts.slice(0, 4), never);
const cpuBefore = await cpuSeconds(embedder);
const startedAt = performance.now();
let chunks = 0;
// Distinct each time, for equal texts are sent once; in parcels that end soon enough for the slowest.
for (let at = 0; performance.now() - startedAt < Number(seconds) * 1000; at += 1) {
  const count = engine === "wasm" ? 8 : lanes;
  const parcel = Array.from({ length: count }, (_, place) => {
    const number = at * count + place;
    return `${number} ${texts[number % texts.length]}`;
  });
  await batcher.embed(parcel, never);
  chunks += parcel.length;
}
const took = (performance.now() - startedAt) / 1000;
const cpu = (await cpuSeconds(embedder)) - cpuBefore;
const serverBytes = (await embedder.server?.())?.rssBytes ?? 0;
const rssMb = process.memoryUsage.rss() / 2 ** 20;
await batcher.close();
await embedder.close();
await rm(cacheDir, { recursive: true });
process.stdout.write(
  `${JSON.stringify({
    chunks,
    cpuSeconds: cpu,
    seconds: took,
    firstMs: first.ms,
    againMs,
    rssMb,
    serverMb: serverBytes / 2 ** 20,
  })}\n`,
);
