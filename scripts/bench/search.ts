// Searching 10,000 and 200,000 chunks by vector, by words and by both: how much of what a question asks for is in the
// five chunks that are found, and how long the answer takes; beside BM25 in memory. The retrieval set's own chunks
// lie among filler of the same words (search/filler.ts).
import { performance } from "node:perf_hooks";
import postgres from "postgres";
import { openBatcher } from "../../worker/embedders/batch.ts";
import { createDatabase } from "./contestants/fresh-database.ts";
import { quantile } from "./contestants/quantiles.ts";
import { asked, type BenchOptions, type Report } from "./figure.ts";
import { fillerTexts } from "./search/filler.ts";
import { load, MODEL, type Stored } from "./search/load.ts";
import { type MemoryBm25, openMemoryBm25 } from "./search/memory-bm25.ts";
import {
  type Embed,
  FOUND,
  type Indexed,
  meanOf,
  openSetEmbedder,
  type Question,
  readSet,
  scoreOf,
  splitAs,
} from "./splitters/retrieval.ts";

const SIZES = [10_000, 200_000];
const BATCH = 64;
const MIXED = 500;
// Above this a search without an index would take seconds.
const INDEXED_FROM = 50_000;
const never = new AbortController().signal;

type Prepared = {
  readonly questions: readonly Question[];
  readonly asks: readonly string[];
  readonly chunks: readonly (Indexed & Stored)[];
  readonly vectors: readonly Float32Array[];
  readonly fillerVectors: readonly Float32Array[];
  readonly sample: string;
};
type Search = {
  readonly name: string;
  readonly statement: string;
  readonly takes: readonly ("query" | "vector")[];
};

const searches: readonly Search[] = [
  { name: "vector", statement: "rag_search_chunks($1::extensions.vector, $2, $3)", takes: ["vector"] },
  { name: "text", statement: "rag_text_search($1, $2)", takes: ["query"] },
  {
    name: "hybrid",
    statement: "rag_hybrid_search($1, $2::extensions.vector, $3, $4)",
    takes: ["query", "vector"],
  },
];

export async function benchSearch(report: Report, options: BenchOptions): Promise<void> {
  const folder = process.env.RAG_RETRIEVAL_SET;
  if (folder === undefined)
    throw new Error("Set RAG_RETRIEVAL_SET to a folder with questions_df.csv and corpora/.");
  const prepared = await prepare(folder, options);
  for (const size of options.jobs === null ? SIZES : [options.jobs])
    await measureAt(size, prepared, report, options);
}

async function measureAt(size: number, prepared: Prepared, report: Report, options: BenchOptions) {
  const { chunks, vectors, fillerVectors, sample } = prepared;
  const filler = () => fillerTexts(sample, Math.max(0, size - chunks.length), 900);
  const database = await createDatabase();
  try {
    await load(database.url, chunks, vectors, filler(), fillerVectors);
    options.progress(`${size} chunks are stored`);
    const sql = postgres(database.url, { max: 1, onnotice: () => {} });
    try {
      if (size >= INDEXED_FROM) await sql`select public.rag_ensure_vector_index(${MODEL}, 384)`;
      for (const search of asked(searches, options)) await measureSearch(sql, search, size, prepared, report);
    } finally {
      await sql.end();
    }
  } finally {
    await database.drop();
  }
  if (asked([{ name: "memory bm25" }], options).length > 0) {
    const texts = function* () {
      for (const chunk of chunks) yield chunk.text;
      yield* filler();
    };
    measureMemory(openMemoryBm25(texts()), size, prepared, report);
  }
}

async function measureSearch(
  sql: postgres.Sql,
  search: Search,
  size: number,
  prepared: Prepared,
  report: Report,
) {
  const byPlace = new Map(prepared.chunks.map((chunk) => [`${chunk.document}/${chunk.at}`, chunk]));
  const times: number[] = [];
  const recalls: number[] = [];
  for (const [at, question] of prepared.questions.entries()) {
    const given = { query: [question.text], vector: [prepared.asks[at] ?? "", MODEL] };
    const values = [...search.takes.flatMap((kind) => given[kind]), FOUND];
    const before = performance.now();
    const rows = await sql.unsafe(`select document_id, chunk_index from public.${search.statement}`, values);
    times.push(performance.now() - before);
    const found = rows.map((row) =>
      byPlace.get(`${documentOf(String(row.document_id))}/${Number(row.chunk_index)}`),
    );
    recalls.push(scoreOf(question, found).recall);
  }
  tell(report, size, search.name, recalls, times);
}

function measureMemory(
  find: MemoryBm25,
  size: number,
  { questions, chunks }: Prepared,
  report: Report,
): void {
  const times: number[] = [];
  const recalls = questions.map((question) => {
    const before = performance.now();
    const best = find(question.text, FOUND);
    times.push(performance.now() - before);
    return scoreOf(
      question,
      best.map((place) => chunks[place]),
    ).recall;
  });
  tell(report, size, "memory bm25", recalls, times);
}

function tell(
  report: Report,
  size: number,
  contestant: string,
  recalls: readonly number[],
  times: readonly number[],
) {
  const say = (metric: string, value: number, unit: string) =>
    report({
      bench: "search",
      case: `${size} chunks, ${recalls.length} questions`,
      contestant,
      metric,
      value,
      unit,
    });
  say(`recall at ${FOUND}`, 100 * meanOf(recalls), "%");
  say("p50", quantile(times, 0.5), "ms");
  say("p95", quantile(times, 0.95), "ms");
}

export async function prepare(folder: string, options: BenchOptions): Promise<Prepared> {
  const { questions, corpora } = await readSet(folder);
  const embedder = await openSetEmbedder();
  const batcher = openBatcher(embedder, { batch: BATCH, concurrency: 2 });
  const embed: Embed = async (texts) => (await batcher.embed(texts, never)).vectors;
  try {
    const split = splitAs("recursive", { embed });
    const chunks: (Indexed & Stored)[] = [];
    for (const [document, [corpus, text]] of [...corpora].entries())
      for (const [at, chunk] of (await split(text)).entries())
        chunks.push({ ...chunk, corpus, document, at });
    const sample = [...corpora.values()].join("\n");
    options.progress(`embedding ${chunks.length} chunks, ${questions.length} questions`);
    return {
      questions,
      chunks,
      sample,
      asks: (await embed(questions.map((question) => question.text))).map(
        (vector) => `[${vector.join(",")}]`,
      ),
      vectors: await embed(chunks.map((chunk) => chunk.text)),
      fillerVectors: await embed([...fillerTexts(sample, MIXED, 900)]),
    };
  } finally {
    await batcher.close();
    await embedder.close();
  }
}

/** Documents are numbered from 0, and so are their ids. */
const documentOf = (id: string) => Number.parseInt(id.replaceAll("-", ""), 16);
