// Writes an ONNX model file: the few messages of its protobuf that a transformer's graph needs, no more.
// Source: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto (field numbers are repeated here beside their use).

export type ElementType = "float32" | "uint8" | "int8" | "int64" | "float16";
const ELEMENT: Readonly<Record<ElementType, number>> = {
  float32: 1,
  uint8: 2,
  int8: 3,
  int64: 7,
  float16: 10,
};

export type Tensor = {
  readonly type: ElementType;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
};

/** An integer, a list of integers or, where ONNX wants one, a float. */
export type Attribute = number | readonly number[] | { readonly float: number };

export type OnnxGraph = {
  /** Adds a constant and gives its name. */
  constant(tensor: Tensor): string;
  /** Adds an operation and gives the names of its outputs. */
  node(
    operation: string,
    inputs: readonly string[],
    attributes?: Readonly<Record<string, Attribute>>,
    outputs?: number,
  ): readonly [string, ...string[]];
  /** The model file, from one int64 input to one float32 output. */
  encode(input: string, output: string): Uint8Array;
};

// Opset 17 brought LayerNormalization; IR version 8 belongs to it.
const OPSET = 17;
const IR_VERSION = 8;

export function openOnnxGraph(name: string): OnnxGraph {
  const nodes: Uint8Array[] = [];
  const constants: Uint8Array[] = [];
  let names = 0;

  return {
    constant(tensor) {
      const own = `c${names++}`;
      const dims = tensor.shape.map((size) => integer(1, size));
      constants.push(
        field(5, ...dims, integer(2, ELEMENT[tensor.type]), text(8, own), bytes(9, tensor.bytes)),
      );
      return own;
    },
    node(operation, inputs, attributes = {}, outputs = 1) {
      const first = `n${names++}`;
      const rest = Array.from({ length: outputs - 1 }, (_, at) => `${first}_${at + 1}`);
      const own: [string, ...string[]] = [first, ...rest];
      nodes.push(
        field(
          1,
          ...inputs.map((input) => text(1, input)),
          ...own.map((output) => text(2, output)),
          text(4, operation),
          ...Object.entries(attributes).map(([key, value]) => attribute(key, value)),
        ),
      );
      return own;
    },
    encode(input, output) {
      const graph = field(
        7,
        ...nodes,
        text(2, name),
        ...constants,
        field(11, ...valueInfo(input, "int64", "tokens")),
        field(12, ...valueInfo(output, "float32", "dimensions")),
      );
      return Buffer.concat([integer(1, IR_VERSION), graph, field(8, integer(2, OPSET))]);
    },
  };
}

function attribute(name: string, value: Attribute): Uint8Array {
  const own = text(1, name);
  if (typeof value === "number") return field(5, own, integer(3, value), integer(20, 2));
  if ("float" in value) return field(5, own, float(2, value.float), integer(20, 1));
  return field(5, own, ...value.map((item) => integer(8, item)), integer(20, 7));
}

/** A one-dimensional value whose length is known only at run time. */
function valueInfo(name: string, type: ElementType, length: string): Uint8Array[] {
  const shape = field(2, field(1, text(2, length)));
  return [text(1, name), field(2, field(1, integer(1, ELEMENT[type]), shape))];
}

function varint(value: number): Uint8Array {
  const out: number[] = [];
  // Negative numbers are 64-bit two's complement in protobuf.
  let rest = BigInt.asUintN(64, BigInt(value));
  for (; rest > 127n; rest >>= 7n) out.push(Number(rest & 127n) | 128);
  out.push(Number(rest));
  return Uint8Array.from(out);
}

const key = (number: number, wireType: number) => varint(number * 8 + wireType);
const integer = (number: number, value: number) => Buffer.concat([key(number, 0), varint(value)]);
const bytes = (number: number, value: Uint8Array) =>
  Buffer.concat([key(number, 2), varint(value.byteLength), value]);
const text = (number: number, value: string) => bytes(number, Buffer.from(value, "utf8"));
/** A nested message. */
const field = (number: number, ...parts: readonly Uint8Array[]) => bytes(number, Buffer.concat(parts));

function float(number: number, value: number): Uint8Array {
  const four = Buffer.alloc(4);
  four.writeFloatLE(value);
  return Buffer.concat([key(number, 5), four]);
}
