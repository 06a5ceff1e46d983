// What a model file says of itself before any server has read it: enough to name its vectors, so that a worker
// knows whether they fit what is stored without starting anything.
import { z } from "zod";
import type { WordPieceVocabulary } from "../../document/tokenizer.ts";
import { Failure } from "../../failure/failure.ts";
import { modelName } from "../llama-server-identity.ts";
import { type GgufHeader, readGgufHeader } from "./gguf-header.ts";

export type ModelFile = {
  readonly path: string;
  /** The file's name without folder, ending and a precision that does not change vectors. */
  readonly name: string;
  readonly dimensions: number;
  /** Tokens it was made for, its special ones included. */
  readonly context: number;
  readonly bytes: number;
  /** True for models that keep a cache for each token of the context (Qwen and its like; BERT keeps none). */
  readonly caches: boolean;
  readonly cacheBytesPerToken: number;
  readonly heads: number;
  /** Its lower-casing WordPiece, where it has one. */
  readonly vocabulary: WordPieceVocabulary | null;
};

const RANKS = 4;
const NO_POOLING = 0;
const CONTROL = 3;
const positive = z.int().positive();
const words = z.array(z.string());

/** Throws `embed.model-missing` with the path for a file that is absent, damaged, cut short or no embedding model. */
export async function readModelFile(path: string): Promise<ModelFile> {
  try {
    const header = await readGgufHeader(path);
    if (header.neededBytes > header.fileBytes) throw new Error("it is cut short");
    return describe(path, header);
  } catch (thrown) {
    throw new Failure("embed.model-missing", {
      says: `The model file ${path} cannot be used: ${reasonOf(thrown)}. Correct LLAMA_SERVER_MODEL.`,
      cause: thrown,
    });
  }
}

function describe(path: string, { values, fileBytes }: GgufHeader): ModelFile {
  const architecture = z.string().safeParse(values.get("general.architecture")).data;
  if (architecture === undefined) throw new Error("it does not name its architecture");
  const own = (key: string) => values.get(`${architecture}.${key}`);
  const pooling = own("pooling_type");
  // Without one a server would answer with one vector for each token.
  if (pooling === undefined || pooling === NO_POOLING || pooling === RANKS)
    throw new Error(`it is no embedding model (architecture ${architecture} without pooling)`);
  const dimensions = positive.safeParse(own("embedding_length_out") ?? own("embedding_length")).data;
  const context = positive.safeParse(own("context_length")).data;
  if (dimensions === undefined || context === undefined)
    throw new Error("it does not say how many dimensions and tokens it has");
  const whole = (key: string) => positive.safeParse(own(key)).data ?? 1;
  const heads = whole("attention.head_count");
  const headWidth = whole("embedding_length") / heads;
  const cachedHeads = positive.safeParse(own("attention.head_count_kv")).data ?? heads;
  return {
    path,
    name: modelName(path),
    dimensions,
    context,
    bytes: fileBytes,
    caches: own("attention.causal") !== false && !architecture.includes("bert"),
    heads,
    // Key and value of each layer, two bytes each.
    cacheBytesPerToken: whole("block_count") * cachedHeads * headWidth * 2 * 2,
    vocabulary: vocabularyOf(values),
  };
}

/** llama.cpp marks the pieces that begin a word, tokenizer.json those that go on. */
function vocabularyOf(values: GgufHeader["values"]): WordPieceVocabulary | null {
  if (values.get("tokenizer.ggml.model") !== "bert") return null;
  if (values.get("tokenizer.ggml.normalizer.lowercase") === false) return null;
  const tokens = words.safeParse(values.get("tokenizer.ggml.tokens")).data;
  const unknown = z.int().safeParse(values.get("tokenizer.ggml.unknown_token_id")).data;
  const types = values.get("tokenizer.ggml.token_type");
  if (tokens === undefined || unknown === undefined) return null;
  const heads = new Map<string, number>();
  const tails = new Map<string, number>();
  for (const [id, token] of tokens.entries()) {
    if (Array.isArray(types) && types[id] === CONTROL) continue;
    if (token.startsWith("\u2581")) heads.set(token.slice(1), id);
    else tails.set(token, id);
  }
  // llama.cpp knows no longest word: it cuts every one into pieces.
  return { heads, tails, unknown, longestWord: Number.POSITIVE_INFINITY };
}

function reasonOf(thrown: unknown): string {
  const code = (thrown as NodeJS.ErrnoException).code;
  if (code === "ENOENT") return "there is no such file";
  if (code === "EACCES" || code === "EPERM") return "this user may not read it";
  if (code === "EISDIR") return "it is a folder";
  return code ?? (thrown as Error).message;
}
