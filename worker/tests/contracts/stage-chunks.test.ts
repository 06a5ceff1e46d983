// Writing chunks in bulk: each transport in its own way, with the same rows and the same answers.
import { randomUUID } from "node:crypto";
import postgres from "postgres";
import { beforeEach, expect, test, vi } from "vitest";
import { openPostgres } from "../../database/postgres.ts";
import type { EmbeddedChunk } from "../../document/chunk.ts";
import type { Job } from "../../document/lease.ts";
import { startTcpProxy } from "../stand-ins/tcp-proxy.ts";
import { describeEveryDatabase } from "./open-databases.ts";
import { World } from "./world.ts";

/** The message with which a client ends its rows. */
const COPY_DONE = Buffer.from("6300000004", "hex");
const COST = { processedSegments: 1, tokens: 30, costUsd: 0.25 };

describeEveryDatabase("staging chunks", (leg, legName) => {
  let world: World;
  beforeEach(async () => {
    world = await new World(leg()).start();
    await world.sql.query("delete from public.rag_models");
  });

  const contentOf = new Map<string, string>();
  const begun = async (fields: Record<string, unknown> = {}) => {
    await world.enqueue(fields);
    const job = await world.claimOne();
    const content = randomUUID();
    contentOf.set(job.id, content);
    await world.begin(job, content);
    return job;
  };
  const stage = (job: Job, chunks: readonly EmbeddedChunk[], progress = COST, through = world.database) =>
    through.stageChunks({ ...job.lease, chunks, progress });
  const rowsOf = (job: Job) =>
    world.sql.query(
      `select to_jsonb(c) - 'created_at' || jsonb_build_object('embedding', c.embedding::text) as row
       from public.rag_document_chunks c where document_id = $1 order by chunk_index`,
      [job.document?.id],
    );

  /** How many sessions wait in the middle of a COPY for more of it, with so many bytes read at least. */
  const copiesUnderWay = async (bytes = 0) =>
    (
      await world.sql.query(
        `select 1 from pg_stat_progress_copy p join pg_stat_activity a using (pid)
         where p.datname = current_database() and a.wait_event = 'ClientRead' and p.bytes_processed > $1`,
        [bytes],
      )
    ).length;

  test("rows arrive as they are, whatever their texts hold", async () => {
    const tags = ['a "quoted" \\ tag', "{braces, commas}", "naïve 🙂"];
    const job = await begun({ tags });
    const rich = chunkOf(0, "Ünïcode 🙂\t'quotes' \\ back\nslash", {
      embedPrefix: "Heading > 'Sub' \\n ",
      section: "Über",
      speaker: "Speaker \\1",
      pageNumber: 7,
      startedMs: 9_007_199_254_740_000,
      endedMs: 9_007_199_254_740_001,
      embedding: new Float32Array([1.5, -0.1, 3.4e38]),
    });

    expect(await stage(job, [rich, chunkOf(1, "plain")])).toEqual({
      state: "staged",
      stored: 2,
      reused: 0,
      missing: [],
      processed_chunks: 2,
    });

    const [first, second] = (await rowsOf(job)).map(({ row }) => row as Record<string, unknown>);
    expect(first).toMatchObject({
      tenant_id: world.tenant,
      content: rich.content,
      embed_prefix: rich.embedPrefix,
      content_sha256: rich.contentSha256,
      embed_sha256: rich.embedSha256,
      char_start: 0,
      char_end: rich.content.length,
      char_count: rich.content.length,
      page_number: 7,
      section: "Über",
      speaker: "Speaker \\1",
      started_ms: 9_007_199_254_740_000,
      ended_ms: 9_007_199_254_740_001,
      tags,
      embedding: "[1.5,-0.1,3.4e+38]",
      embedding_model: "contract-model",
    });
    expect(second).toMatchObject({ section: null, speaker: null, page_number: null, started_ms: null });
  });

  test("sent twice, nothing changes and nothing is paid for again", async () => {
    const job = await begun();
    const chunks = [chunkOf(0, "one"), chunkOf(1, "two")];
    await stage(job, chunks);
    const before = await rowsOf(job);

    expect(await stage(job, chunks)).toMatchObject({ state: "staged", stored: 0, processed_chunks: 2 });

    expect(await rowsOf(job)).toEqual(before);
    expect(await world.job(job.id)).toMatchObject({ processed_chunks: 2, tokens: "30" });
    expect(Number((await world.job(job.id)).cost_usd)).toBe(0.25);
  });

  test("a row that was cut differently before is corrected, and its neighbours are added", async () => {
    const job = await begun();
    await stage(job, [chunkOf(0, "as it was"), chunkOf(1, "kept")]);

    const answer = await stage(job, [chunkOf(0, "as it is"), chunkOf(1, "kept"), chunkOf(2, "new")]);

    expect(answer).toMatchObject({ state: "staged", missing: [] });
    expect((await rowsOf(job)).map(({ row }) => (row as { content: string }).content)).toEqual([
      "as it is",
      "kept",
      "new",
    ]);
  });

  test("a known vector is copied by the database, beside rows that bring theirs", async () => {
    const first = await begun();
    await stage(first, [chunkOf(0, "known")]);
    const job = await begun();

    const answer = await stage(job, [
      { ...chunkOf(0, "known"), embedding: null },
      chunkOf(1, "new"),
      { ...chunkOf(2, "never seen"), embedding: null },
    ]);

    expect(answer).toEqual({ state: "staged", stored: 2, reused: 1, missing: [2], processed_chunks: 2 });
    const [copied] = await rowsOf(job);
    expect(copied).toMatchObject({ row: { embedding: "[5,1,0]" } });
    expect(await world.job(job.id)).toMatchObject({ reused_chunks: 1, tokens: "30" });
  });

  test("a vector of another length is missing, and harms nobody beside it", async () => {
    const job = await begun();
    const wrong = chunkOf(0, "wrong", { embedding: new Float32Array([1, 2]) });

    const answer = await stage(job, [wrong, chunkOf(1, "right")]);

    expect(answer).toEqual({ state: "staged", stored: 1, reused: 0, missing: [0], processed_chunks: 1 });
  });

  test("a row that the database refuses is a failure with its code, and nothing of the batch is stored", async () => {
    const job = await begun();
    const bad = chunkOf(0, "bad", { embedding: new Float32Array([Number.NaN, 1, 1]) });

    await expect(stage(job, [chunkOf(1, "good"), bad])).rejects.toMatchObject({ code: "database.rejected" });

    expect(await rowsOf(job)).toEqual([]);
    expect(await stage(job, [chunkOf(1, "good")])).toMatchObject({ stored: 1 });
  });

  test("who lost the lease writes nothing", async () => {
    const late = await begun();
    await world.expireLease(late);
    await world.call("rag_reap", { p_limit: 10 });
    const current = await world.claimOne("current");
    await world.begin(current);
    const before = await world.picture(late);

    expect(await stage(late, [chunkOf(0, "stale")])).toMatchObject({ state: "lease_lost" });

    expect(await world.picture(late)).toEqual(before);
  });

  test("a batch beyond the size of one call or copy is stored whole and paid for once", async () => {
    const job = await begun();
    const long = "x".repeat(40_000);
    const chunks = Array.from({ length: 120 }, (_, at) => chunkOf(at, `${at} ${long}`));

    expect(await stage(job, chunks)).toMatchObject({ stored: 120, processed_chunks: 120 });

    expect(await world.job(job.id)).toMatchObject({ tokens: "30", processed_chunks: 120 });
  });

  test("more batches at once than there are connections are all stored", async () => {
    const job = await begun();
    const batches = Array.from({ length: 12 }, (_, at) => [
      chunkOf(2 * at, `a${at}`),
      chunkOf(2 * at + 1, `b${at}`),
    ]);

    const answers = await Promise.all(batches.map((chunks) => stage(job, chunks)));

    expect(answers).toHaveLength(12);
    expect(await rowsOf(job)).toHaveLength(24);
    expect(await world.job(job.id)).toMatchObject({ processed_chunks: 24 });
    expect(await world.complete(job, 24)).toBe("complete");
  });

  if (legName !== "postgres" && legName !== "pgbouncer") return;

  test("a connection that breaks in mid-copy or at the commit costs time and nothing else", async () => {
    const target = new URL(leg().url);
    const proxy = await startTcpProxy({ host: target.hostname, port: Number(target.port) });
    const database = await openPostgres({
      url: proxy.through(leg().url),
      poolMax: 2,
      poolTimeoutSeconds: 10,
    });
    const job = await begun();
    await stage(job, [chunkOf(0, "warm")], COST, database);

    // What the server answers to the copy does not arrive: whether it committed is not known to us.
    proxy.stall("down");
    const running = stage(job, [chunkOf(1, "one"), chunkOf(2, "two")], COST, database);
    await vi.waitFor(async () =>
      expect(
        await world.sql.query(
          "select 1 from pg_stat_activity where state = 'idle in transaction' and datname = current_database()",
        ),
      ).toHaveLength(1),
    );
    proxy.cut();
    proxy.flow();

    expect(await running).toMatchObject({ state: "staged", stored: 2, processed_chunks: 3 });
    expect(await world.job(job.id)).toMatchObject({ processed_chunks: 3, tokens: "60" });
    expect(await rowsOf(job)).toHaveLength(3);
    await database.close();
    await proxy.close();
  });

  test("a worker that freezes in mid-copy keeps nobody from the job, and nobody from its rows", async () => {
    const job = await begun();
    const target = new URL(leg().url);
    const proxy = await startTcpProxy({ host: target.hostname, port: Number(target.port) });
    const database = await openPostgres({
      url: proxy.through(leg().url),
      poolMax: 1,
      poolTimeoutSeconds: 10,
    });
    const chunks = Array.from({ length: 2500 }, (_, at) => chunkOf(at, `${at}`));
    await stage(job, [chunkOf(2500, "warm")], COST, database);
    // The rows are sent, but not that there are no more.
    proxy.stallBefore(COPY_DONE);
    const frozen = stage(job, chunks, COST, database);
    await vi.waitFor(async () => expect(await copiesUnderWay(1000)).toBe(1));

    await world.sql.query("update public.rag_ingestion_queue set status = 'queued' where id = $1", [job.id]);
    const next = await world.claimOne("next");
    await world.begin(next, contentOf.get(job.id));
    expect(await stage(next, chunks)).toMatchObject({ state: "staged", stored: 2500 });
    expect(await world.sql.query("select public.rag_end_abandoned_copies() as ended")).toEqual([
      { ended: 0 },
    ]);
    expect(await world.sql.query("select public.rag_end_abandoned_copies('0 s') as ended")).toEqual([
      { ended: 1 },
    ]);
    await vi.waitFor(async () => expect(await copiesUnderWay()).toBe(0));
    proxy.flow();
    expect(await frozen).toMatchObject({ state: "lease_lost" });
    expect(await rowsOf(next)).toHaveLength(2501);
    await database.close();
    await proxy.close();
  });

  test("a session that stays open between copy and close is ended by the reaper, whatever its client said", async () => {
    const job = await begun();
    const sql = postgres(leg().url, { max: 1, prepare: false });
    const { jobId, token } = job.lease;
    await sql.unsafe(`begin; select public.rag_open_copy('${jobId}', '${token}', '{0}')`).simple();
    const rows = await sql.unsafe("copy public.rag_document_chunks (chunk_index) from stdin").writable();
    // The library says behind it that the copy failed, and the server's own clock stands still from then on.
    await new Promise((resolve) => rows.end(resolve));

    expect(await world.sql.query("select public.rag_end_abandoned_copies() as ended")).toEqual([
      { ended: 0 },
    ]);
    expect(
      await world.sql.query("select public.rag_end_abandoned_copies('1 minute', '0 s') as ended"),
    ).toEqual([{ ended: 1 }]);
    await sql.end({ timeout: 0 });
  });

  test("a copy whose lease is lost on the way is not committed", async () => {
    const job = await begun();
    const target = new URL(leg().url);
    const proxy = await startTcpProxy({ host: target.hostname, port: Number(target.port) });
    const database = await openPostgres({
      url: proxy.through(leg().url),
      poolMax: 1,
      poolTimeoutSeconds: 10,
    });
    await stage(job, [chunkOf(0, "warm")], COST, database);
    proxy.stall("down");
    const late = stage(job, [chunkOf(1, "late")], COST, database);
    await vi.waitFor(async () =>
      expect(
        await world.sql.query(
          "select 1 from pg_stat_activity where state = 'idle in transaction' and datname = current_database()",
        ),
      ).toHaveLength(1),
    );

    await world.sql.query("update public.rag_ingestion_queue set status = 'queued' where id = $1", [job.id]);
    proxy.flow();

    expect(await late).toMatchObject({ state: "lease_lost" });
    expect(await rowsOf(job)).toHaveLength(1);
    await database.close();
    await proxy.close();
  });
});

function chunkOf(chunkIndex: number, content: string, fields: Partial<EmbeddedChunk> = {}): EmbeddedChunk {
  return {
    chunkIndex,
    content,
    contentSha256: `content of ${content.slice(0, 20)}`,
    embedSha256: `text of ${content.slice(0, 20)}`,
    embedPrefix: "",
    charStart: 0,
    charEnd: content.length,
    tokenCount: 1,
    pageNumber: null,
    section: null,
    speaker: null,
    startedMs: null,
    endedMs: null,
    segmentFrom: 1,
    segmentTo: 1,
    embedding: new Float32Array([content.length % 100, 1, chunkIndex]),
    ...fields,
  };
}
