// Writes a model file as llama-server reads it: GGUF version 3, little-endian.
// A reader would get the shapes wrong: GGUF names the innermost dimension first, safetensors last.
// The layout is https://github.com/ggml-org/ggml/blob/master/docs/gguf.md.

/** Numbers without a fraction are written as u32; wrap the others, for the reader insists on the type. */
export type GgufValue =
  | string
  | number
  | boolean
  | { readonly f32: number }
  | { readonly strings: readonly string[] }
  | { readonly i32s: readonly number[] };

export type GgufTensor = {
  readonly name: string;
  /** Outermost dimension first, as safetensors and NumPy say it. */
  readonly shape: readonly number[];
  readonly type: "f32" | "f16";
  /** The numbers in row order, little-endian. */
  readonly bytes: Uint8Array;
};

const valueTypes = { u32: 4, i32: 5, f32: 6, bool: 7, string: 8, array: 9 } as const;
const tensorTypes = { f32: 0, f16: 1 } as const;
const alignment = 32;

/** The bytes of a model file. Needs as much memory again as the tensors have. */
export function ggufBytes(
  metadata: Readonly<Record<string, GgufValue>>,
  tensors: readonly GgufTensor[],
): Uint8Array {
  const entries = Object.entries(metadata);
  const parts = [
    Buffer.from("GGUF"),
    u32(3),
    u64(tensors.length),
    u64(entries.length),
    ...entries.flatMap(([key, value]) => [text(key), ...typed(value)]),
  ];
  let offset = 0;
  for (const tensor of tensors) {
    parts.push(text(tensor.name), u32(tensor.shape.length));
    for (const size of [...tensor.shape].reverse()) parts.push(u64(size));
    parts.push(u32(tensorTypes[tensor.type]), u64(offset));
    offset += aligned(tensor.bytes.length);
  }
  const head = Buffer.concat(parts);
  return Buffer.concat([padded(head), ...tensors.map((tensor) => padded(tensor.bytes))]);
}

function typed(value: GgufValue): Uint8Array[] {
  if (typeof value === "string") return [u32(valueTypes.string), text(value)];
  if (typeof value === "boolean") return [u32(valueTypes.bool), Uint8Array.of(value ? 1 : 0)];
  if (typeof value === "number") return [u32(valueTypes.u32), u32(value)];
  if ("f32" in value) return [u32(valueTypes.f32), new Uint8Array(Float32Array.of(value.f32).buffer)];
  if ("strings" in value) return [...arrayHead("string", value.strings), ...value.strings.map(text)];
  return [...arrayHead("i32", value.i32s), new Uint8Array(Int32Array.from(value.i32s).buffer)];
}

const arrayHead = (type: "string" | "i32", items: readonly unknown[]): Uint8Array[] => [
  u32(valueTypes.array),
  u32(valueTypes[type]),
  u64(items.length),
];

function text(value: string): Uint8Array {
  const bytes = Buffer.from(value, "utf8");
  return Buffer.concat([u64(bytes.length), bytes]);
}

function u32(value: number): Uint8Array {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function u64(value: number): Uint8Array {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

const aligned = (length: number): number => Math.ceil(length / alignment) * alignment;
const padded = (bytes: Uint8Array): Uint8Array =>
  Buffer.concat([bytes, Buffer.alloc(aligned(bytes.length) - bytes.length)]);
