import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { cachedGraph } from "./graph-cache.ts";

let folder: string;
let built: number;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "rag-cache-"));
  built = 0;
});

afterEach(() => rm(folder, { recursive: true }));

function build(): Uint8Array {
  built += 1;
  return Buffer.from("a graph of some length");
}

test("what was built once is read from then on, and nothing else is left in the folder", async () => {
  cachedGraph(join(folder, "new"), "model.onnx", build);

  const again = cachedGraph(join(folder, "new"), "model.onnx", build);

  expect(Buffer.from(again).toString()).toBe("a graph of some length");
  expect(built).toBe(1);
  expect(await readdir(join(folder, "new"))).toEqual(["model.onnx"]);
});

test.each([
  ["cut short", (file: Buffer) => file.subarray(0, -1)],
  ["changed in one bit", (file: Buffer) => file.with(3, (file[3] ?? 0) ^ 1)],
  ["empty", () => Buffer.alloc(0)],
])("a file that was %s is built again", async (_how, damage) => {
  const path = join(folder, "model.onnx");
  cachedGraph(folder, "model.onnx", build);
  await writeFile(path, damage(await readFile(path)));

  const graph = cachedGraph(folder, "model.onnx", build);
  cachedGraph(folder, "model.onnx", build);

  expect(Buffer.from(graph).toString()).toBe("a graph of some length");
  expect(built).toBe(2);
});

test("another name is another graph", () => {
  cachedGraph(folder, "model-v1.onnx", build);

  cachedGraph(folder, "model-v2.onnx", build);

  expect(built).toBe(2);
});

test("a folder that cannot be written costs time and nothing else", async () => {
  const file = join(folder, "a file where the folder should be");
  await writeFile(file, "");

  const graph = cachedGraph(file, "model.onnx", build);

  expect(Buffer.from(graph).toString()).toBe("a graph of some length");
});

test("a build that fails leaves nothing behind", async () => {
  const broken = () => {
    throw new RangeError("no such tensor");
  };

  expect(() => cachedGraph(folder, "model.onnx", broken)).toThrow(RangeError);
  expect(await readdir(folder)).toEqual([]);
});
