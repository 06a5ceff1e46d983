// What is read from a model file, and that no damaged one gets as far as a server.
import { mkdtemp, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ggufBytes } from "../../tests/stand-ins/gguf.ts";
import { minilmGguf } from "../../tests/stand-ins/gguf-minilm.ts";
import { writeStandInModel } from "../../tests/stand-ins/llama-program.ts";
import { openTokenizer } from "../../tokenizers/open-tokenizer.ts";
import { failureOf } from "../contract.ts";
import { readModelFile } from "./model-file.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "rag-gguf-"));
});
afterEach(() => rm(folder, { recursive: true }));

test("a model file says its name, dimensions, context and size without being loaded", async () => {
  const path = join(folder, "all-MiniLM-L6-v2.F16.gguf");
  const bytes = minilmGguf();
  await writeFile(path, bytes);

  const model = await readModelFile(path);

  expect(model).toMatchObject({
    path,
    name: "all-MiniLM-L6-v2",
    dimensions: 384,
    context: 512,
    bytes: bytes.length,
    caches: false,
    heads: 12,
  });
});

test("the vocabulary in a model file counts as the embedded model's tokenizer does, but for words that are all one", async () => {
  const path = join(folder, "m.gguf");
  await writeFile(path, minilmGguf());
  const expected = openTokenizer("bert-wordpiece");
  const texts = ["Hello, unaffable world! naïve CAFÉ 東京", "A lease that nobody renews.", "zzqx ☃ snow"];

  const { vocabulary } = await readModelFile(path);
  if (vocabulary === null) throw new Error("no vocabulary");
  const own = openTokenizer(vocabulary);

  expect(texts.map((text) => own.count(text))).toEqual(texts.map((text) => expected.count(text)));
  // llama.cpp cuts a word of 300 letters into pieces; BERT's own tokenizer calls it unknown as a whole.
  expect(own.count("ab".repeat(150))).toBeGreaterThan(expected.count("ab".repeat(150)));
});

test("a model with another kind of vocabulary has none that we could count with", async () => {
  const path = await writeStandInModel(folder);

  const { vocabulary } = await readModelFile(path);

  expect(vocabulary).toBeNull();
});

test("a model that keeps a cache says what each token of it costs", async () => {
  const path = join(folder, "qwen.gguf");
  await writeFile(
    path,
    ggufBytes(
      {
        "general.architecture": "qwen3",
        "qwen3.embedding_length": 1024,
        "qwen3.context_length": 32_768,
        "qwen3.pooling_type": 3,
        "qwen3.block_count": 28,
        "qwen3.attention.head_count": 16,
        "qwen3.attention.head_count_kv": 8,
      },
      [],
    ),
  );

  const model = await readModelFile(path);

  expect(model).toMatchObject({ caches: true, cacheBytesPerToken: 28 * 8 * 64 * 4 });
});

test.each([
  ["is absent", async () => {}, "there is no such file"],
  ["is empty", (path: string) => writeFile(path, ""), "cut short"],
  [
    "is something else",
    (path: string) => writeFile(path, "version https://git-lfs.github.com/spec/v1"),
    "no GGUF",
  ],
  [
    "ends within its header",
    async (path: string) => {
      await writeFile(path, minilmGguf());
      await truncate(path, 100_000);
    },
    "cut short",
  ],
  [
    "ends within its weights",
    async (path: string) => {
      const bytes = minilmGguf();
      await writeFile(path, bytes.subarray(0, bytes.length - 1000));
    },
    "cut short",
  ],
  [
    "is of an architecture that chats",
    (path: string) =>
      writeFile(
        path,
        ggufBytes(
          { "general.architecture": "llama", "llama.embedding_length": 8, "llama.context_length": 64 },
          [],
        ),
      ),
    "no embedding model (architecture llama",
  ],
  [
    "ranks and does not embed",
    async (path: string) => {
      const { rename } = await import("node:fs/promises");
      await rename(await writeStandInModel(folder, { "bert.pooling_type": 4 }), path);
    },
    "no embedding model",
  ],
  [
    "says lengths that no file has",
    (path: string) => {
      const bytes = Buffer.alloc(64, 0xff);
      bytes.write("GGUF");
      bytes.writeUInt32LE(3, 4);
      return writeFile(path, bytes);
    },
    "damaged",
  ],
])("a model file that %s is a wrong configuration that names the file and the reason", async (_how, write, reason) => {
  const path = join(folder, "the-model.gguf");
  await write(path);

  const failure = await failureOf(readModelFile(path));

  expect(failure).toMatchObject({ code: "embed.model-missing", kind: "misconfigured" });
  expect(failure.message).toContain(path);
  expect(failure.message).toContain(reason);
});
