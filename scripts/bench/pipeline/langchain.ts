// LangChain.js as its documentation puts the parts together: MarkdownTextSplitter, OpenAIEmbeddings, PGVectorStore.
// Tuned as far as its options go: full requests, as many of them and as many connections as the others have; the
// client underneath asks for base64 and decodes it unless it is told to.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { loadPeer } from "../peers.ts";
import { inBatches, inLanes, type OpenRival, type RivalSettings } from "./rival.ts";

type Passage = { readonly pageContent: string; readonly metadata: Readonly<Record<string, unknown>> };
type TextSplitters = {
  MarkdownTextSplitter: new (options: {
    chunkSize: number;
    chunkOverlap: number;
  }) => { createDocuments(texts: string[], metadata: object[]): Promise<Passage[]> };
};
type OpenAi = { OpenAIEmbeddings: new (options: object) => object };
type PgVector = {
  PGVectorStore: {
    initialize(
      embeddings: object,
      options: object,
    ): Promise<{
      addDocuments(passages: Passage[]): Promise<void> /** The pool too, of which it holds a client. */;
      end(): Promise<void>;
    }>;
  };
};
type Pg = { default: { Pool: new (options: object) => object } };

export const openLangChainByDocument: OpenRival = (settings) => open(settings, byDocument);
export const openLangChainInBatches: OpenRival = (settings) => open(settings, inFullBatches);

type Parts = {
  readonly settings: RivalSettings;
  readonly split: (name: string) => Promise<Passage[]>;
  readonly store: (passages: Passage[]) => Promise<void>;
};

async function open(settings: RivalSettings, ingest: (parts: Parts) => Promise<number>) {
  const { MarkdownTextSplitter } = await loadPeer<TextSplitters>("@langchain/textsplitters");
  const { OpenAIEmbeddings } = await loadPeer<OpenAi>("@langchain/openai");
  const { PGVectorStore } = await loadPeer<PgVector>("@langchain/community/vectorstores/pgvector");
  const { Pool } = (await loadPeer<Pg>("pg")).default;
  const pool = new Pool({ connectionString: settings.databaseUrl, max: settings.concurrency });
  const embeddings = new OpenAIEmbeddings({
    model: settings.model,
    apiKey: "sk-bench",
    batchSize: settings.batch,
    maxConcurrency: settings.concurrency,
    configuration: { baseURL: settings.baseUrl },
  });
  const { dimensions } = settings;
  const store = await PGVectorStore.initialize(embeddings, { pool, tableName: "langchain", dimensions });
  const splitter = new MarkdownTextSplitter({ chunkSize: settings.chunkChars, chunkOverlap: 0 });
  const parts: Parts = {
    settings,
    split: async (name) =>
      splitter.createDocuments([await readFile(join(settings.root, name), "utf8")], [{ source: name }]),
    store: (passages) => store.addDocuments(passages),
  };
  return { ingest: () => ingest(parts), close: () => store.end() };
}

async function byDocument({ settings, split, store }: Parts): Promise<number> {
  let chunks = 0;
  await inLanes(settings.names, settings.concurrency, async (name) => {
    const passages = await split(name);
    await store(passages);
    chunks += passages.length;
  });
  return chunks;
}

async function inFullBatches({ settings, split, store }: Parts): Promise<number> {
  const passages = async function* () {
    for (const name of settings.names) yield* await split(name);
  };
  let chunks = 0;
  await inLanes(inBatches(passages(), settings.batch), settings.concurrency, async (batch) => {
    await store(batch);
    chunks += batch.length;
  });
  return chunks;
}
