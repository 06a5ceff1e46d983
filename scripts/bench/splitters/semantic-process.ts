// Cuts a million tokens by meaning in a process of its own and prints {chunks, snippets, vectorBytes, grownBytes}: what
// memory grew by from the first thousand tokens to its peak. Vectors are drawn, so that no model's memory is counted.
import { readFileSync } from "node:fs";
import { openChunker } from "../../../worker/chunkers/open-chunker.ts";
import type { Segment } from "../../../worker/document/segment.ts";
import { openTokenizer } from "../../../worker/tokenizers/open-tokenizer.ts";
import { segmentsOf } from "./open-splitter.ts";

const [path, mostTokens, dimensions] = process.argv.slice(2);
if (path === undefined) throw new Error("semantic-process FILE TOKENS DIMENSIONS");
const text = readFileSync(path, "utf8");
const tokenizer = openTokenizer("cl100k_base");
const textTokens = tokenizer.count(text);
let snippets = 0;

const { cut } = openChunker("semantic", { tokens: 512, overlapTokens: 64, chars: 0 }, tokenizer);

/** The text over and over, until it has so many tokens. */
async function* segments(tokens: number): AsyncGenerator<Segment> {
  let seq = 0;
  for (let read = 0; read < tokens; read += textTokens)
    for await (const segment of segmentsOf(text)) yield { ...segment, seq: ++seq };
}

async function embed(texts: readonly string[]): Promise<readonly Float32Array[]> {
  snippets += texts.length;
  return texts.map(() => Float32Array.from({ length: Number(dimensions) }, () => Math.random() - 0.5));
}

async function cutAll(tokens: number): Promise<number> {
  let chunks = 0;
  for await (const _ of cut(segments(tokens), embed)) chunks += 1;
  return chunks;
}

async function* begin(): AsyncGenerator<Segment> {
  const first = await segments(1).next();
  if (!first.done) yield first.value;
}
for await (const _ of cut(begin(), embed));
const before = process.memoryUsage.rss();
snippets = 0;
const chunks = await cutAll(Number(mostTokens));
const grownBytes = process.resourceUsage().maxRSS * 1024 - before;
const vectorBytes = snippets * Number(dimensions) * Float32Array.BYTES_PER_ELEMENT;
process.stdout.write(JSON.stringify({ chunks, snippets, vectorBytes, grownBytes }));
