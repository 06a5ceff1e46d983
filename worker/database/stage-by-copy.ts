// Chunks by COPY in binary form: fifteen times as fast as vectors in text. The transaction takes three trips: open,
// copy, close. The lease is checked and the job's row locked in the last one, together with the commit, so that a
// worker that freezes in between keeps nobody from the row.
// The library connects again by itself when a connection breaks, so every step says which transaction it belongs to:
// a COPY that found itself in another would write rows that no lease guards.
import { finished } from "node:stream/promises";
import type { Sql } from "postgres";
import { z } from "zod";
import type { EmbeddedChunk } from "../document/chunk.ts";
import type { BatchProgress, StageChunks } from "../document/stage-chunks.ts";
import { Failure } from "../failure/failure.ts";
import { COPY_COLUMNS, copyBytes, copyRows } from "./copy-rows.ts";
import type { PostgresAddress } from "./postgres-address.ts";
import type { Connection, PostgresPool } from "./postgres-pool.ts";
import { retrying } from "./retrying.ts";
import { failureFromSql } from "./sqlstate.ts";
import { inTurn, packed, progressRow, rowOf, type Staged, staged } from "./stage-by-calls.ts";

// 4 MB take some 30 ms.
const COPY_BYTES = 4_000_000;
// The server keeps fewer than 1,000 rows back (copyfrom.c, MAX_BUFFERED_TUPLES) and puts them into the table when it
// hears that there are no more. So a worker that freezes in mid-copy leaves no rows behind that another would wait for.
const COPY_ROWS = 999;
const COPY_SECONDS = 20;

// Between the end of the rows and the close behind it the rows are in the table uncommitted, and the same rows of
// another worker wait for them. So the two leave in the same turn of the event loop: the library holds back what is
// shorter than 1,024 bytes until the next one. By then the server may have answered, and the library would tell it that
// the copy failed (its stream destroys itself), which the server ignores but for one thing: it starts its clock
// for sessions that are idle in a transaction only behind an answer, so that a worker that froze there would keep the
// rows for ever.
const SENT_AT_ONCE = " ".repeat(1024);

type Lease = { readonly jobId: string; readonly token: string };

const opened = z.object({
  state: z.literal("open"),
  present: z.array(z.number()),
  dimensions: z.number(),
  document_id: z.string(),
  generation: z.number(),
  tenant_id: z.string(),
  tags: z.array(z.string()),
  embedding_model: z.string(),
  transaction: z.string().regex(/^\d+$/),
});

const openAnswer = z.discriminatedUnion("state", [opened, z.object({ state: z.literal("lease_lost") })]);

/** The server would not have the rows; why, it tells through the way of calls. */
class CopyRefused extends Error {}

/** `byCalls`: for batches without a vector, and for rows that COPY cannot bring. */
export function stageByCopy(pool: PostgresPool, address: PostgresAddress, byCalls: StageChunks): StageChunks {
  return (batch, { signal } = {}) => {
    const { chunks, progress } = batch;
    if (chunks.every((chunk) => chunk.embedding === null))
      return byCalls(batch, { ...(signal && { signal }) });
    const copyOnce = async (pack: readonly EmbeddedChunk[], share: BatchProgress): Promise<Staged> => {
      try {
        return await pool.use(
          (connection) => inTime(connection, signal, () => copy(connection.sql, batch, pack, share)),
          signal,
        );
      } catch (thrown) {
        if (signal?.aborted) throw signal.reason;
        throw thrown instanceof CopyRefused ? thrown : failureFromSql(thrown, address);
      }
    };
    return inTurn(
      packed(chunks, { bytes: COPY_BYTES, rows: COPY_ROWS }, copyBytes),
      progress,
      async (pack, share) => {
        try {
          return await retrying(() => copyOnce(pack, share), signal);
        } catch (thrown) {
          if (!(thrown instanceof CopyRefused)) throw thrown;
          const again = { ...batch, chunks: pack, progress: share };
          return staged.parse(await byCalls(again, { ...(signal && { signal }) }));
        }
      },
    );
  };
}

async function copy(
  sql: Sql,
  lease: Lease,
  chunks: readonly EmbeddedChunk[],
  progress: BatchProgress,
): Promise<Staged> {
  try {
    const target = await open(sql, lease, chunks);
    if (target.state !== "open") {
      await sql.unsafe("rollback").simple();
      return staged.parse(target);
    }
    const there = new Set(target.present);
    const goesByCopy = ({ chunkIndex, embedding }: EmbeddedChunk) =>
      embedding?.length === target.dimensions && !there.has(chunkIndex);
    const fresh = chunks.filter(goesByCopy);
    if (fresh.length > 0) await send(sql, fresh, target);
    const others = chunks.filter((chunk) => !goesByCopy(chunk));
    return await close(sql, lease, {
      transaction: target.transaction,
      copied: fresh.length,
      others,
      progress,
    });
  } catch (thrown) {
    await sql
      .unsafe("rollback")
      .simple()
      .catch(() => {}); // The first error is the one to tell.
    if (sqlStateOf(thrown) === LEASE_LOST) return staged.parse({ state: "lease_lost" });
    throw thrown;
  }
}

async function open(sql: Sql, lease: Lease, chunks: readonly EmbeddedChunk[]) {
  const indexes = chunks.filter(({ embedding }) => embedding !== null).map(({ chunkIndex }) => chunkIndex);
  // One message: were it two, the second could arrive on another connection and be a transaction of its own.
  const answer = await ask(
    sql,
    `begin; select public.rag_open_copy(${fence(lease)}, '{${indexes}}')::text as answer`,
  );
  return openAnswer.parse(answer);
}

async function send(
  sql: Sql,
  chunks: readonly EmbeddedChunk[],
  target: z.infer<typeof opened>,
): Promise<void> {
  const stream = await sql
    .unsafe(
      `copy public.rag_document_chunks (${COPY_COLUMNS}) from stdin with (format binary)
       where pg_catalog.pg_current_xact_id() = '${target.transaction}'::pg_catalog.xid8`,
    )
    .writable();
  const rows = copyRows(chunks, {
    documentId: target.document_id,
    generation: target.generation,
    tenantId: target.tenant_id,
    tags: target.tags,
    embeddingModel: target.embedding_model,
  });
  // An error that comes after the last byte never reaches the stream, which then never finishes: the close behind it
  // tells. So all that is waited for here is that the bytes are on their way.
  finished(stream).catch(() => {});
  await new Promise<void>((resolve) => {
    stream.once("error", () => resolve());
    stream.write(rows, () => resolve());
  });
  stream.end();
}

/** What did not go by COPY is told, or corrected where a row is there already; then all of it is committed. */
async function close(
  sql: Sql,
  lease: Lease,
  batch: {
    readonly transaction: string;
    readonly copied: number;
    readonly others: readonly EmbeddedChunk[];
    readonly progress: BatchProgress;
  },
): Promise<Staged> {
  try {
    const answer = await ask(
      sql,
      `select public.rag_close_copy(${fence(lease)}, ${literal(batch.transaction)}, ${json(batch.others.map(rowOf))},
        ${batch.copied}, ${json(progressRow(batch.progress))})::text as answer; commit${SENT_AT_ONCE}`,
    );
    return staged.parse(answer);
  } catch (thrown) {
    if (sqlStateOf(thrown) === ABORTED) throw new CopyRefused("the server refused the rows");
    throw thrown;
  }
}

/** What rag_close_copy raises when the lease is another's. */
const LEASE_LOST = "RG001";
/** The transaction had failed before: the server ignores whatever comes until its end. */
const ABORTED = "25P02";

const sqlStateOf = (thrown: unknown): unknown =>
  thrown instanceof Error && "code" in thrown ? thrown.code : null;

/** The one `answer` of some statements sent as one message. */
async function ask(sql: Sql, statements: string): Promise<unknown> {
  const results: unknown = await sql.unsafe(statements).simple();
  const rows = Rows.parse(results).flat();
  const [row] = rows;
  return row === undefined || row.answer === null ? null : JSON.parse(row.answer);
}

const Row = z.object({ answer: z.string().nullable() });
const Rows = z.array(z.union([Row, z.array(Row)]));

const fence = ({ jobId, token }: Lease) => `${literal(jobId)}, ${literal(token)}`;
const json = (value: unknown) => literal(JSON.stringify(value));

/** As libpq's PQescapeLiteral: safe whatever standard_conforming_strings says. */
function literal(text: string): string {
  const doubled = text.replaceAll("'", "''");
  return text.includes("\\") ? ` E'${doubled.replaceAll("\\", "\\\\")}'` : `'${doubled}'`;
}

/** Past its time, or when the signal fires, the connection is cut: the server undoes what was open on it. */
async function inTime<Result>(
  connection: Connection,
  signal: AbortSignal | undefined,
  work: () => Promise<Result>,
): Promise<Result> {
  const limit = AbortSignal.timeout(COPY_SECONDS * 1000);
  const stop = signal ? AbortSignal.any([signal, limit]) : limit;
  const { promise: stopped, reject } = Promise.withResolvers<never>();
  const onStop = () => {
    connection.drop();
    reject(
      signal?.aborted
        ? signal.reason
        : new Failure("database.timeout", { facts: { limitMs: COPY_SECONDS * 1000 } }),
    );
  };
  stop.addEventListener("abort", onStop, { once: true });
  try {
    stop.throwIfAborted();
    return await Promise.race([work(), stopped]);
  } finally {
    stop.removeEventListener("abort", onStop);
  }
}
