// all-MiniLM-L6-v2 as an ONNX graph: token ids of one text in, its unit vector out.
// One text a run: on a CPU a batch only adds padding. Pooling and normalisation are in the graph.
// Weights are rounded to 7 bits, not 8: CPUs without VNNI add two products in 16 bits, and 8 bits overflow
// there without an error; with 7 every CPU computes the same.
import { type OnnxGraph, openOnnxGraph } from "./onnx-graph.ts";
import type { Weights } from "./safetensors.ts";

/** Raise it with every change to the graph: it is part of the cached file's name. */
export const MINILM_GRAPH_VERSION = 2;
export const GRAPH_INPUT = "token_ids";

export type Precision = "int8" | "float32";
type Tensors = (name: string) => Weights;
type Linear = (input: string, name: string, rows?: "level rows") => string;

const WIDTH = 384;
const HEADS = 12;
const HEAD_WIDTH = WIDTH / HEADS;
const LAYERS = 6;
const MOST_POSITIONS = 512;

/** The model file, and the name of its output. Source of the architecture: Devlin et al., "BERT", 2018. */
export function buildMiniLmGraph(tensors: Tensors, precision: Precision): Uint8Array {
  const graph = openOnnxGraph("all-MiniLM-L6-v2");
  const norm = (input: string, name: string) =>
    graph.node(
      "LayerNormalization",
      [
        input,
        vector(graph, tensors(`${name}.weight`).values()),
        vector(graph, tensors(`${name}.bias`).values()),
      ],
      {
        axis: -1,
        epsilon: { float: 1e-12 },
      },
    )[0];
  const linear = precision === "int8" ? quantisedLinear(graph, tensors) : exactLinear(graph, tensors);

  let hidden = norm(embeddings(graph, tensors), "embeddings.LayerNorm");
  for (let layer = 0; layer < LAYERS; layer++) {
    const own = `encoder.layer.${layer}`;
    const attended = linear(attention(graph, linear, hidden, own), `${own}.attention.output.dense`);
    hidden = norm(graph.node("Add", [hidden, attended])[0], `${own}.attention.output.LayerNorm`);
    // Level rows here only: a few tokens' values are so large that one scale for all tokens costs the most
    // (cosine to float32 at worst 0.984 without, 0.993 with; everywhere it gains nothing more and costs a tenth).
    const wide = gelu(graph, linear(hidden, `${own}.intermediate.dense`, "level rows"));
    const narrow = linear(wide, `${own}.output.dense`, "level rows");
    hidden = norm(graph.node("Add", [hidden, narrow])[0], `${own}.output.LayerNorm`);
  }
  const [mean] = graph.node("ReduceMean", [hidden], { axes: [0], keepdims: 0 });
  const [unit] = graph.node("LpNormalization", [mean], { axis: 0, p: 2 });
  return graph.encode(GRAPH_INPUT, unit);
}

function embeddings(graph: OnnxGraph, tensors: Tensors): string {
  const words = tensors("embeddings.word_embeddings.weight");
  const positions = tensors("embeddings.position_embeddings.weight").values();
  const type = tensors("embeddings.token_type_embeddings.weight").values();
  // Every token is of type 0: its row is added to each position once and for all.
  const placed = positions.map((value, at) => value + (type[at % WIDTH] ?? 0));
  const halves = graph.constant({ type: "float16", shape: words.shape, bytes: words.halves });
  const [word] = graph.node("Cast", [graph.node("Gather", [halves, GRAPH_INPUT])[0]], { to: 1 });
  const [length] = graph.node("Shape", [GRAPH_INPUT]);
  const zero = integers(graph, 0);
  const all = matrix(graph, placed, [MOST_POSITIONS, WIDTH]);
  const [position] = graph.node("Slice", [all, zero, length, zero]);
  return graph.node("Add", [word, position])[0];
}

/** Scaled dot-product attention over twelve heads; query, key and value are one product. */
function attention(graph: OnnxGraph, linear: Linear, hidden: string, layer: string): string {
  const joined = linear(hidden, `${layer}.attention.self`);
  const split = graph.node("Reshape", [joined, integers(graph, 0, 3, HEADS, HEAD_WIDTH)])[0];
  const heads = graph.node("Transpose", [split], { perm: [1, 2, 0, 3] })[0];
  const [query, key = "", value = ""] = graph.node(
    "Split",
    [heads, integers(graph, 1, 1, 1)],
    { axis: 0 },
    3,
  );
  const [keys] = graph.node("Transpose", [key], { perm: [0, 1, 3, 2] });
  const [weights] = graph.node("Softmax", [graph.node("MatMul", [query, keys])[0]], { axis: -1 });
  const [mixed] = graph.node("Transpose", [graph.node("MatMul", [weights, value])[0]], {
    perm: [0, 2, 1, 3],
  });
  return graph.node("Reshape", [mixed, integers(graph, -1, WIDTH)])[0];
}

/** The exact form with erf, which ONNX Runtime fuses into one kernel. */
function gelu(graph: OnnxGraph, input: string): string {
  const [erf] = graph.node("Erf", [graph.node("Mul", [input, scalar(graph, Math.SQRT1_2)])[0]]);
  const [gate] = graph.node("Mul", [input, graph.node("Add", [erf, scalar(graph, 1)])[0]]);
  return graph.node("Mul", [gate, scalar(graph, 0.5)])[0];
}

function exactLinear(graph: OnnxGraph, tensors: Tensors): Linear {
  return (input, name) => {
    const { values, bias, from, to } = layerOf(tensors, name);
    const transposed = new Float32Array(from * to);
    for (let at = 0; at < values.length; at++)
      transposed[(at % from) * to + Math.floor(at / from)] = values[at] ?? 0;
    const [product] = graph.node("MatMul", [input, matrix(graph, transposed, [from, to])]);
    return graph.node("Add", [product, vector(graph, bias)])[0];
  };
}

/** Integer products with one scale for the input and one for each output column of the weights. */
function quantisedLinear(graph: OnnxGraph, tensors: Tensors): Linear {
  return (input, name, rows) => {
    const { values, bias, from, to } = layerOf(tensors, name);
    const { rounded, scales } = roundTo7Bits(values, from, to);
    const weights = graph.constant({
      type: "int8",
      shape: [from, to],
      bytes: new Uint8Array(rounded.buffer),
    });
    const heights = rows === undefined ? null : rowHeights(graph, input);
    const level = heights === null ? input : graph.node("Div", [input, heights])[0];
    const [whole, scale = "", zero = ""] = graph.node("DynamicQuantizeLinear", [level], {}, 3);
    const [sums] = graph.node("Cast", [graph.node("MatMulInteger", [whole, weights, zero])[0]], { to: 1 });
    // In this order ONNX Runtime fuses the lines above into one kernel.
    const [real] = graph.node("Mul", [sums, graph.node("Mul", [scale, vector(graph, scales)])[0]]);
    const restored = heights === null ? real : graph.node("Mul", [real, heights])[0];
    return graph.node("Add", [restored, vector(graph, bias)])[0];
  };
}

/** The largest magnitude of each row. */
function rowHeights(graph: OnnxGraph, input: string): string {
  return graph.node("ReduceMax", [graph.node("Abs", [input])[0]], { axes: [1], keepdims: 1 })[0];
}

function roundTo7Bits(values: Float32Array, from: number, to: number) {
  const rounded = new Int8Array(from * to);
  const scales = new Float32Array(to);
  for (let column = 0; column < to; column++) {
    const own = values.subarray(column * from, (column + 1) * from);
    let largest = 0;
    for (const value of own) largest = Math.max(largest, Math.abs(value));
    const scale = largest / 63;
    scales[column] = scale;
    for (let row = 0; row < from; row++) rounded[row * to + column] = Math.round((own[row] ?? 0) / scale);
  }
  return { rounded, scales };
}

/** A layer's weights as PyTorch keeps them: one row of `from` numbers for each of `to` outputs. */
function layerOf(tensors: Tensors, name: string) {
  const parts = name.endsWith(".attention.self")
    ? ["query", "key", "value"].map((part) => `${name}.${part}`)
    : [name];
  const weights = parts.map((part) => tensors(`${part}.weight`));
  const values = joined(weights.map((weight) => weight.values()));
  const bias = joined(parts.map((part) => tensors(`${part}.bias`).values()));
  const from = weights[0]?.shape[1] ?? 0;
  if (parts.length === 3) {
    // The attention's division by the root of the head's width, done here once on the query.
    const scale = 1 / Math.sqrt(HEAD_WIDTH);
    for (let at = 0; at < WIDTH * WIDTH; at++) values[at] = (values[at] ?? 0) * scale;
    for (let at = 0; at < WIDTH; at++) bias[at] = (bias[at] ?? 0) * scale;
  }
  return { values, bias, from, to: bias.length };
}

function joined(parts: readonly Float32Array[]): Float32Array {
  const whole = new Float32Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function matrix(graph: OnnxGraph, values: Float32Array, shape: readonly number[]): string {
  return graph.constant({ type: "float32", shape, bytes: new Uint8Array(values.buffer) });
}

const vector = (graph: OnnxGraph, values: Float32Array) => matrix(graph, values, [values.length]);
const scalar = (graph: OnnxGraph, value: number) => matrix(graph, Float32Array.of(value), []);

function integers(graph: OnnxGraph, ...values: readonly number[]): string {
  const bytes = new Uint8Array(BigInt64Array.from(values, BigInt).buffer);
  return graph.constant({ type: "int64", shape: [values.length], bytes });
}
