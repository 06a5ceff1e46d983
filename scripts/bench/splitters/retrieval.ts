// Recall and precision of what is retrieved, in characters of the spans that answer each question.
// Source: "Evaluating Chunking Strategies for Retrieval" (Smith and Troynikov, Chroma, 2024), whose data this reads:
// a folder with questions_df.csv and corpora/*.md. All embed with the same model, all find five chunks, and the
// peer's size is set so that its chunks are as long as ours.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { parse } from "csv-parse/sync";
import { z } from "zod";
import { openChunker } from "../../../worker/chunkers/open-chunker.ts";
import { readConfig } from "../../../worker/config/config.ts";
import { openBatcher } from "../../../worker/embedders/batch.ts";
import { openEmbedder } from "../../../worker/embedders/open-embedder.ts";
import { openTokenizer } from "../../../worker/tokenizers/open-tokenizer.ts";
import type { BenchOptions, Report } from "../figure.ts";
import { loadPeer } from "../peers.ts";
import { type LangChain, segmentsOf } from "./open-splitter.ts";

/** Chunks that are found for a question. */
export const FOUND = 5;
const TOKENS = 256;
const BATCH = 64;
const never = new AbortController().signal;

export type Span = { readonly from: number; readonly to: number };
export type Chunk = Span & { readonly text: string };
export type Question = { readonly text: string; readonly corpus: string; readonly spans: readonly Span[] };
export type Embed = (texts: readonly string[]) => Promise<readonly Float32Array[]>;
type SplitCorpus = (text: string) => Promise<readonly Chunk[]>;

const rowsOf = z.array(
  z.object({
    question: z.string(),
    references: z
      .string()
      .transform((text): unknown => JSON.parse(text))
      .pipe(z.array(z.object({ start_index: z.number(), end_index: z.number() }))),
    corpus_id: z.string(),
  }),
);

/** The embedded model, which the questions and the chunks of a set are embedded with. */
export const openSetEmbedder = () =>
  openEmbedder(
    { ...readConfig({}), embeddingProvider: "embedded" },
    { tokenizer: async (name) => openTokenizer(name), cacheDir: join(process.cwd(), ".rag", "models") },
  );

export async function benchRetrieval(folder: string, report: Report, options: BenchOptions): Promise<void> {
  const { questions, corpora } = await readSet(folder);
  const embedder = await openSetEmbedder();
  const batcher = openBatcher(embedder, { batch: BATCH, concurrency: 2 });
  const embed: Embed = async (texts) => (await batcher.embed(texts, never)).vectors;
  try {
    const asks = await embed(questions.map((question) => question.text));
    let meanChars = 0;
    for (const [name, open] of Object.entries(splitters)) {
      const split = await open({ embed, meanChars, sample: [...corpora.values()] });
      const cut = await cutAll(corpora, split);
      const all = cut.flatMap((corpus) => corpus.chunks);
      const mean = all.reduce((sum, chunk) => sum + chunk.to - chunk.from, 0) / all.length;
      if (meanChars === 0) meanChars = mean;
      options.progress(`${name}: ${all.length} chunks of ${mean.toFixed(0)} characters`);
      const vectors = await embed(all.map((chunk) => chunk.text));
      const indexed = cut.flatMap(({ corpus, chunks }) => chunks.map((chunk) => ({ ...chunk, corpus })));
      const scores = questions.map((question, at) =>
        scoreOf(
          question,
          nearest(asks[at] ?? new Float32Array(), vectors).map((best) => indexed[best]),
        ),
      );
      const say = (metric: string, value: number, unit: string) =>
        report({
          bench: "chunk",
          case: `retrieval, ${questions.length} questions`,
          contestant: name,
          metric,
          value,
          unit,
        });
      say("mean length", mean, "characters");
      say(`recall at ${FOUND}`, 100 * meanOf(scores.map((score) => score.recall)), "%");
      say(`precision at ${FOUND}`, 100 * meanOf(scores.map((score) => score.precision)), "%");
    }
  } finally {
    await batcher.close();
    await embedder.close();
  }
}

type SplitterParts = {
  readonly embed: Embed;
  readonly meanChars: number;
  readonly sample: readonly string[];
};

/** Ours comes first: its mean length is what the peer is set to. */
const splitters: Readonly<Record<string, (parts: SplitterParts) => Promise<SplitCorpus>>> = {
  ours: async (parts) => splitAs("recursive", parts),
  "ours, semantic": async (parts) => splitAs("semantic", parts),
  langchain: async ({ meanChars, sample }) => {
    const { RecursiveCharacterTextSplitter } = await loadPeer<LangChain>("@langchain/textsplitters");
    const lengthFunction = openTokenizer("bert-wordpiece").count;
    const open = (chunkSize: number) =>
      new RecursiveCharacterTextSplitter({ chunkSize, chunkOverlap: 0, lengthFunction });
    const chunkSize = await sizeFor(meanChars, async (size) => {
      const texts = await Promise.all(sample.map((text) => open(size).splitText(text)));
      return meanOf(texts.flat().map((text) => text.length));
    });
    return async (text) => locate(text, await open(chunkSize).splitText(text));
  },
};

export function splitAs(strategy: string, { embed }: Pick<SplitterParts, "embed">): SplitCorpus {
  const limits = { tokens: TOKENS, overlapTokens: 0, chars: 0 };
  const { cut } = openChunker(strategy, limits, openTokenizer("bert-wordpiece"));
  return async (text) => {
    const chunks: Chunk[] = [];
    for await (const { content, charStart, charEnd } of cut(segmentsOf(text), embed))
      chunks.push({ text: content, from: charStart, to: charEnd });
    return chunks;
  };
}

/** The setting at which chunks are as long as wanted, within a few tokens. */
async function sizeFor(meanChars: number, meanAt: (size: number) => Promise<number>): Promise<number> {
  let low = TOKENS / 4;
  let high = TOKENS * 4;
  while (high - low > 4) {
    const middle = Math.round((low + high) / 2);
    if ((await meanAt(middle)) < meanChars) low = middle;
    else high = middle;
  }
  return Math.round((low + high) / 2);
}

/** Where each chunk of a splitter without offsets stands. It only ever leaves out white space between them. */
function locate(text: string, chunks: readonly string[]): readonly Chunk[] {
  let from = 0;
  return chunks.map((chunk) => {
    const at = text.indexOf(chunk, from);
    if (at < 0) throw new Error("A chunk of the peer's is not in the text.");
    from = at + 1;
    return { text: chunk, from: at, to: at + chunk.length };
  });
}

export async function cutAll(corpora: ReadonlyMap<string, string>, split: SplitCorpus) {
  const cut: { corpus: string; chunks: readonly Chunk[] }[] = [];
  for (const [corpus, text] of corpora) cut.push({ corpus, chunks: await split(text) });
  return cut;
}

export function nearest(ask: Float32Array, vectors: readonly Float32Array[]): readonly number[] {
  const scored = vectors.map((vector, at) => {
    let score = 0;
    for (let index = 0; index < ask.length; index += 1) score += (ask[index] ?? 0) * (vector[index] ?? 0);
    return { at, score };
  });
  return scored
    .sort((one, other) => other.score - one.score)
    .slice(0, FOUND)
    .map(({ at }) => at);
}

export type Indexed = Chunk & { readonly corpus: string };

/** Shares of the wanted characters that were found, and of the found ones that were wanted. */
export function scoreOf(question: Question, found: readonly (Indexed | undefined)[]) {
  const right = found.filter((chunk) => chunk?.corpus === question.corpus);
  const wanted = question.spans.reduce((sum, span) => sum + span.to - span.from, 0);
  const read = found.reduce((sum, chunk) => sum + (chunk === undefined ? 0 : chunk.to - chunk.from), 0);
  let met = 0;
  for (const span of question.spans)
    for (const chunk of right)
      if (chunk !== undefined)
        met += Math.max(0, Math.min(span.to, chunk.to) - Math.max(span.from, chunk.from));
  return { recall: Math.min(1, met / wanted), precision: read === 0 ? 0 : met / read };
}

export const meanOf = (values: readonly number[]) =>
  values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);

export async function readSet(folder: string) {
  const rows = rowsOf.parse(
    parse(await readFile(join(folder, "questions_df.csv"), "utf8"), { columns: true }),
  );
  const corpora = new Map<string, string>();
  for (const name of new Set(rows.map((row) => row.corpus_id)))
    corpora.set(name, await readFile(join(folder, "corpora", `${name}.md`), "utf8"));
  const units = new Map([...corpora].map(([name, text]) => [name, unitsOf(text)]));
  const questions = rows.map(({ question, references, corpus_id }): Question => {
    const at = (codePoint: number) => units.get(corpus_id)?.[codePoint] ?? 0;
    const spans = references.map((span) => ({ from: at(span.start_index), to: at(span.end_index) }));
    return { text: question, corpus: corpus_id, spans };
  });
  return { questions, corpora };
}

/** The set counts code points: the offset of each in UTF-16 units, and that of the end. */
function unitsOf(text: string): Uint32Array {
  const units = [0];
  let at = 0;
  for (const sign of text) {
    at += sign.length;
    units.push(at);
  }
  return Uint32Array.from(units);
}
