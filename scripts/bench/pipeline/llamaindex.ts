// LlamaIndex.TS: its SentenceSplitter, OpenAIEmbedding and PGVectorStore, called as its ingestion pipeline calls
// them. Its store writes all nodes of a call in one INSERT of six parameters a row and embeds one request after the
// other, hence the batches; a store has one connection, hence one a lane.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { loadPeer } from "../peers.ts";
import { inBatches, inLanes, type OpenRival, type RivalSettings } from "./rival.ts";

type Node = { embedding?: number[]; getContent(mode: string): string };
type Schema = { Document: new (options: { text: string; metadata: object }) => object };
type NodeParser = {
  SentenceSplitter: new (options: {
    chunkSize: number;
    chunkOverlap: number;
  }) => { getNodesFromDocuments(documents: object[]): Node[] | Promise<Node[]> };
};
type OpenAi = {
  OpenAIEmbedding: new (options: object) => { getTextEmbeddingsBatch(texts: string[]): Promise<number[][]> };
};
type Store = {
  add(nodes: Node[]): Promise<unknown>;
  client(): Promise<{ close?(): Promise<void>; end?(): Promise<void> }>;
};
type Postgres = { PGVectorStore: new (options: object) => Store };

// What our chunks of 1,200 characters hold: both cut where either limit is reached first.
const CHUNK_TOKENS = 256;

export const openLlamaIndexByDocument: OpenRival = (settings) => open(settings, byDocument);
export const openLlamaIndexInBatches: OpenRival = (settings) => open(settings, inFullBatches);

type Parts = {
  readonly settings: RivalSettings;
  readonly split: (name: string) => Promise<Node[]>;
  readonly store: (nodes: Node[], lane: number) => Promise<void>;
};

async function open(settings: RivalSettings, ingest: (parts: Parts) => Promise<number>) {
  const { Document } = await loadPeer<Schema>("@llamaindex/core/schema");
  const { SentenceSplitter } = await loadPeer<NodeParser>("@llamaindex/core/node-parser");
  const { OpenAIEmbedding } = await loadPeer<OpenAi>("@llamaindex/openai");
  const { PGVectorStore } = await loadPeer<Postgres>("@llamaindex/postgres");
  const embedding = new OpenAIEmbedding({
    model: settings.model,
    apiKey: "sk-bench",
    baseURL: settings.baseUrl,
    embedBatchSize: settings.batch,
  });
  const stores: Store[] = [];
  for (let lane = 0; lane < settings.concurrency; lane += 1) {
    const store = new PGVectorStore({
      clientConfig: { connectionString: settings.databaseUrl },
      dimensions: settings.dimensions,
      tableName: "llamaindex",
      performSetup: lane === 0,
      embeddingModel: embedding,
    });
    await store.client();
    stores.push(store);
  }
  const splitter = new SentenceSplitter({ chunkSize: CHUNK_TOKENS, chunkOverlap: 0 });
  const parts: Parts = {
    settings,
    async split(name) {
      const text = await readFile(join(settings.root, name), "utf8");
      return await splitter.getNodesFromDocuments([new Document({ text, metadata: { source: name } })]);
    },
    async store(nodes, lane) {
      const vectors = await embedding.getTextEmbeddingsBatch(nodes.map((node) => node.getContent("NONE")));
      for (const [at, node] of nodes.entries()) node.embedding = vectors[at] ?? [];
      await stores[lane]?.add(nodes);
    },
  };
  const close = async () => {
    for (const store of stores) {
      const client = await store.client();
      await (client.close ?? client.end)?.call(client);
    }
  };
  return { ingest: () => ingest(parts), close };
}

async function byDocument({ settings, split, store }: Parts): Promise<number> {
  let chunks = 0;
  await inLanes(settings.names, settings.concurrency, async (name, lane) => {
    const nodes = await split(name);
    await store(nodes, lane);
    chunks += nodes.length;
  });
  return chunks;
}

async function inFullBatches({ settings, split, store }: Parts): Promise<number> {
  const nodes = async function* () {
    for (const name of settings.names) yield* await split(name);
  };
  let chunks = 0;
  await inLanes(inBatches(nodes(), settings.batch), settings.concurrency, async (batch, lane) => {
    await store(batch, lane);
    chunks += batch.length;
  });
  return chunks;
}
