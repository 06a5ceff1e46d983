// Chunks as a worker leaves them: documents with one live generation, vectors, and filled terms.
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import postgres from "postgres";
import { migrate } from "../../../worker/database/migrate.ts";
import { openPostgresSession } from "../../../worker/database/postgres-session.ts";

export type Stored = { readonly document: number; readonly at: number; readonly text: string };

export const MODEL = "all-MiniLM-L6-v2";
const DIMENSIONS = 384;
const FILL = 5000;
const FILLER_A_DOCUMENT = 20;

/** The set's own chunks with their vectors, and filler whose vectors are sums of two of `fillerVectors`. */
export async function load(
  url: string,
  own: readonly Stored[],
  vectors: readonly Float32Array[],
  filler: Iterable<string>,
  fillerVectors: readonly Float32Array[],
): Promise<void> {
  const session = await openPostgresSession({ url });
  await migrate(session).finally(() => session.close());
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  try {
    await sql`create temp table given (document integer, chunk_index integer, content text, embedding extensions.vector, place serial)`;
    await sql`create temp table mixed (place integer, embedding extensions.vector)`;
    await copy(sql, "given (document, chunk_index, content, embedding)", rowsOf(own, vectors, filler));
    await copy(
      sql,
      "mixed (place, embedding)",
      fillerVectors.map((vector, at) => `${at}\t[${vector.join(",")}]\n`),
    );
    await storeGiven(sql, fillerVectors.length);
    // A worker fills an index that is there; building it at once takes a fraction of the time.
    await sql`drop index public.rag_chunk_terms_search`;
    for (;;) {
      const [row] = await sql`select public.rag_fill_terms(${FILL}) ->> 'chunks' as chunks`;
      if (row?.chunks === "0") break;
    }
    await sql`create index rag_chunk_terms_search on public.rag_chunk_terms using gin (terms) with (gin_pending_list_limit = 256)`;
    await sql`vacuum analyze`;
  } finally {
    await sql.end();
  }
}

async function storeGiven(sql: postgres.Sql, mixed: number): Promise<void> {
  await sql.unsafe("set search_path = public, extensions");
  await sql.unsafe(`
    insert into rag_documents (id, title, status, live_generation)
    select lpad(to_hex(document), 32, '0')::uuid, 'document ' || document, 'ingested', 1
    from given group by document`);
  await sql.unsafe(`
    insert into rag_generations (document_id, generation, content_sha256, embedding_model, dimensions, strategy,
      chunk_size, chunk_overlap, plan, state)
    select id, 1, '', '${MODEL}', ${DIMENSIONS}, 'recursive', 256, 0, '', 'live' from rag_documents`);
  await sql.unsafe(`
    insert into rag_document_chunks (document_id, generation, chunk_index, tenant_id, content, content_sha256,
      embed_sha256, char_start, char_end, char_count, token_count, segment_from, segment_to, embedding, embedding_model)
    select lpad(to_hex(g.document), 32, '0')::uuid, 1, g.chunk_index, 'default', g.content, '', g.place::text, 0,
      length(g.content), length(g.content), length(g.content) / 4, 1, 1,
      coalesce(g.embedding, l2_normalize(a.embedding + b.embedding)), '${MODEL}'
    from given g
    left join mixed a on g.embedding is null and a.place = g.place % ${mixed}
    left join mixed b on g.embedding is null and b.place = (g.place / ${mixed} * 7 + g.place % ${mixed} + 1) % ${mixed}`);
  await sql.unsafe("drop table given, mixed");
}

function* rowsOf(own: readonly Stored[], vectors: readonly Float32Array[], filler: Iterable<string>) {
  let document = 0;
  for (const [at, chunk] of own.entries()) {
    document = Math.max(document, chunk.document);
    yield `${chunk.document}\t${chunk.at}\t${escaped(chunk.text)}\t[${vectors[at]?.join(",")}]\n`;
  }
  let place = 0;
  for (const text of filler) {
    yield `${document + 1 + Math.floor(place / FILLER_A_DOCUMENT)}\t${place % FILLER_A_DOCUMENT}\t${escaped(text)}\t\\N\n`;
    place += 1;
  }
}

const escaped = (text: string) =>
  text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll("\t", "\\t").replaceAll("\r", "\\r");

async function copy(sql: postgres.Sql, into: string, rows: Iterable<string>): Promise<void> {
  const target = await sql.unsafe(`copy ${into} from stdin`).writable();
  await pipeline(Readable.from(rows), target);
}
