// The ideal that we are measured by: our splitter and our table, and between them nothing that a product needs. It
// cuts, asks the provider with full requests and copies rows in binary; no queue, no lease, no fence, no child
// process, no hash is looked up, nothing could be resumed.
import { createHash, randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { openChunker } from "../../../worker/chunkers/open-chunker.ts";
import { readAddress } from "../../../worker/database/postgres-address.ts";
import { openClient } from "../../../worker/database/postgres-client.ts";
import type { Chunk } from "../../../worker/document/chunk.ts";
import { openTokenizer } from "../../../worker/tokenizers/open-tokenizer.ts";
import { segmentsOf } from "../splitters/open-splitter.ts";
import { COLUMNS, CopyBuffer } from "./copy-buffer.ts";
import { inBatches, inLanes, type OpenRival, type RivalSettings } from "./rival.ts";

type Cut = { readonly documentId: string; readonly chunk: Chunk };

const CHUNK_TOKENS = 256;
// Two cores: a third writer only waits.
const WRITERS = 2;

export const openBareLoop: OpenRival = async (settings) => {
  const clients = Array.from({ length: WRITERS }, () =>
    openClient({
      address: readAddress(settings.databaseUrl),
      connectSeconds: 30,
      idleSeconds: null,
      lifetimeSeconds: null,
      onSocket: () => {},
    }),
  );
  for (const client of clients) await client`select 1`;
  const documents = settings.names.map((name) => ({ id: randomUUID(), name }));
  await clients[0]?.unsafe(
    `insert into public.rag_documents (id, source_uri)
     select d.id, 'file:///' || d.name from json_to_recordset($1::text::json) as d(id uuid, name text)`,
    [JSON.stringify(documents)],
  );
  const tokenizer = openTokenizer("cl100k_base");
  tokenizer.count("canary");
  const limits = { tokens: CHUNK_TOKENS, overlapTokens: 0, chars: settings.chunkChars };
  const { cut } = openChunker("recursive", limits, tokenizer);
  const free = [...clients];
  const waiting: (() => void)[] = [];

  const chunks = async function* (): AsyncGenerator<Cut> {
    for (const { id, name } of documents) {
      const text = await readFile(join(settings.root, name), "utf8");
      for await (const chunk of cut(segmentsOf(text), async () => [])) yield { documentId: id, chunk };
    }
  };
  const write = async (bytes: Buffer) => {
    while (free.length === 0) await new Promise<void>((resolve) => waiting.push(resolve));
    const client = free.pop();
    if (client === undefined) return;
    const copy = `copy public.rag_document_chunks (${COLUMNS}) from stdin with (format binary)`;
    const stream = await client.unsafe(copy).writable();
    await new Promise<void>((resolve, reject) => {
      stream.once("finish", resolve).once("error", reject);
      stream.end(bytes);
    });
    free.push(client);
    waiting.shift()?.();
  };
  return {
    async ingest() {
      let stored = 0;
      await inLanes(inBatches(chunks(), settings.batch), settings.concurrency, async (batch) => {
        const vectors = await embed(batch, settings);
        const rows = new CopyBuffer();
        for (const [at, { documentId, chunk }] of batch.entries())
          rows.addChunk(documentId, chunk, hashOf(chunk), vectors[at] ?? Buffer.alloc(0), settings.model);
        await write(rows.end());
        stored += batch.length;
      });
      return stored;
    },
    async close() {
      for (const client of clients) await client.end();
    },
  };
};

const hashOf = ({ content }: Chunk) => createHash("sha256").update(content).digest("hex");

/** Vectors as the provider's own bytes: little-endian float32. */
async function embed(batch: readonly Cut[], settings: RivalSettings): Promise<readonly Buffer[]> {
  const input = batch.map(({ chunk }) => chunk.embedPrefix + chunk.content);
  const answer = await fetch(`${settings.baseUrl}/embeddings`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: "Bearer sk-bench" },
    body: JSON.stringify({ model: settings.model, input, encoding_format: "base64" }),
  });
  const { data } = (await answer.json()) as { data: { index: number; embedding: string }[] }; // SAFETY: our stand-in.
  return data.map(({ embedding }) => Buffer.from(embedding, "base64"));
}
