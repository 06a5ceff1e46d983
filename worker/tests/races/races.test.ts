// Real processes on a real Postgres: killed, frozen, stopped and raced. What must hold is in DESIGN's promises.
import postgres from "postgres";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { migrate } from "../../database/migrate.ts";
import { openPostgresSession } from "../../database/postgres-session.ts";
import { describeWith, type FreshDatabase, freshDatabase } from "../services.ts";
import { type EmbeddingServer, startEmbeddingServer } from "../stand-ins/embedding-server.ts";
import { endAll, paragraphs, startWorkerProcess, type WorkerProcess } from "./worker-process.ts";

const CHUNKS = 500;
const SOON = { timeout: 60_000, interval: 50 };

describeWith("postgres", "races", () => {
  let database: FreshDatabase;
  let sql: postgres.Sql;
  let embedding: EmbeddingServer;
  let workers: WorkerProcess[];
  let stopReading = () => {};

  beforeEach(async () => {
    database = await freshDatabase();
    const session = await openPostgresSession({ url: database.url });
    await migrate(session);
    await session.close();
    sql = postgres(database.url, { max: 4, onnotice: () => {} });
    embedding = await startEmbeddingServer({ dimensions: 8, latencyMs: 60 });
    workers = [];
  });
  afterEach(async () => {
    stopReading();
    await endAll(workers);
    await embedding.close();
    await sql.end({ timeout: 1 });
    await database.drop();
  });

  const start = (id: string, environment: Record<string, string> = {}, ...args: string[]) => {
    const worker = startWorkerProcess({
      databaseUrl: database.url,
      embeddingUrl: embedding.baseUrl,
      id,
      environment,
      arguments: args,
    });
    workers.push(worker);
    return worker;
  };
  const enqueue = async (request: Record<string, string | number>) => {
    const [row] = await sql`select public.rag_enqueue(${sql.json(request)}) as answer`;
    return row?.answer as { job_id: string; document_id: string };
  };
  const job = async (id: string) => {
    const [row] = await sql`select * from public.rag_ingestion_queue where id = ${id}`;
    return row ?? {};
  };
  const settled = (id: string, status: string) =>
    vi.waitFor(async () => expect((await job(id)).status).toBe(status), SOON);
  const inMidJob = (id: string, chunks: number) =>
    // Looked at often: the last of 500 chunks follow within a round trip to the provider.
    vi.waitFor(async () => expect((await job(id)).processed_chunks).toBeGreaterThanOrEqual(chunks), {
      ...SOON,
      interval: 5,
    });
  const live = async (documentId: string) =>
    await sql`select chunk_index, content, char_start, char_end, embedding::text as embedding
      from public.rag_live_chunks where document_id = ${documentId} order by chunk_index`;

  /** Reads the live chunks again and again; every reading must be one of the two whole documents. */
  const watchReaders = (documentId: string, whole: ReadonlySet<string>) => {
    const seen = new Set<string>();
    let on = true;
    stopReading = () => {
      on = false;
    };
    const running = (async () => {
      while (on) {
        const rows = await live(documentId);
        seen.add(`${rows.length} ${String(rows[0]?.content ?? "").slice(0, 10)}`);
      }
    })();
    return async () => {
      on = false;
      await running;
      expect([...seen].filter((one) => !whole.has(one))).toEqual([]);
    };
  };

  test.each([
    1, 16, 240, 420,
  ])("a worker killed after %i of 500 chunks: the next one finishes, pays nothing twice, and readers see old or new", async (chunks) => {
    const undisturbed = await enqueue({ content: paragraphs(CHUNKS, "new"), title: "undisturbed" });
    const reference = start("reference", {}, "--once");
    expect(await reference.ended).toBe(0);
    const expected = await live(undisturbed.document_id);
    expect(expected).toHaveLength(CHUNKS);
    await sql`delete from public.rag_documents`;

    const first = await enqueue({ content: paragraphs(20, "old"), external_id: "book" });
    await start("old", {}, "--once").ended;
    expect(await live(first.document_id)).toHaveLength(20);
    const stopWatching = watchReaders(first.document_id, new Set([`20 The old pa`, `${CHUNKS} The new pa`]));
    embedding.seen.distinct.clear();
    embedding.seen.texts = 0;
    embedding.seen.requests = 0;
    const second = await enqueue({ content: paragraphs(CHUNKS, "new"), external_id: "book" });
    expect(second.document_id).toBe(first.document_id);

    const victim = start("victim");
    await inMidJob(second.job_id, chunks);
    victim.signal("SIGKILL");
    await victim.ended;
    const storedAtDeath = Number((await job(second.job_id)).processed_chunks);
    start("rescuer");
    await settled(second.job_id, "complete");

    await stopWatching();
    expect(await live(second.document_id)).toEqual(expected);
    expect((await job(second.job_id)).attempts).toBe(2);
    // Twice at most: what was under way when the worker died. Never what was stored.
    // The start of each of the two workers sends one text of its own.
    const twice = embedding.seen.texts - CHUNKS - 2;
    expect(twice).toBeLessThanOrEqual(CHUNKS - storedAtDeath);
    expect(twice).toBeLessThanOrEqual(6 * 16);
  }, 120_000);

  test.each([
    1, 100, 300,
  ])("a worker frozen after %i chunks wakes after the operators' reset, writes nothing, and says lease_lost", async (chunks) => {
    const { job_id, document_id } = await enqueue({ content: paragraphs(CHUNKS, "cold") });
    const frozen = start("frozen");
    await inMidJob(job_id, chunks);
    frozen.signal("SIGSTOP");

    // In one transaction: a write that the frozen worker has sent already must not make the row young in between.
    const reset = await sql.begin(async (tx) => {
      await tx`update public.rag_ingestion_queue set updated_at = now() - interval '11 minutes' where id = ${job_id}`;
      return await tx`UPDATE rag_ingestion_queue SET status = 'queued' WHERE status = 'processing' AND updated_at < NOW() - INTERVAL '10 minutes'`;
    });
    expect(reset.count).toBe(1);
    start("second");
    await settled(job_id, "complete");
    const after = await job(job_id);
    const written = await live(document_id);
    frozen.signal("SIGCONT");

    expect(await frozen.line("lease_lost")).toContain("lease_lost");
    expect(await job(job_id)).toEqual(after);
    expect(await live(document_id)).toEqual(written);
    expect(written).toHaveLength(CHUNKS);
  });

  test("four workers on a thousand small documents complete each exactly once, without an error in any log", async () => {
    await sql`
      select public.rag_enqueue(jsonb_build_object('external_id', 'd' || n, 'content', 'Document ' || n || ' tells one small thing.'))
      from generate_series(1, 1000) n`;

    const four = ["a", "b", "c", "d"].map((id) =>
      start(id, { RAG_JOB_CONCURRENCY: "8", RAG_LEASE_SECONDS: "30" }, "--once"),
    );
    expect(await Promise.all(four.map((worker) => worker.ended))).toEqual([0, 0, 0, 0]);

    const rows =
      await sql`select status, attempts, count(*)::int as jobs from public.rag_ingestion_queue group by 1, 2`;
    expect(rows.map((row) => ({ ...row }))).toEqual([{ status: "complete", attempts: 1, jobs: 1000 }]);
    const [chunks] = await sql`select count(*)::int as live from public.rag_live_chunks`;
    expect(chunks?.live).toBe(1000);
    const [all] = await sql`select count(*)::int as stored from public.rag_document_chunks`;
    expect(all?.stored).toBe(1000);
    const completions = four.flatMap((worker) =>
      worker.lines.filter((line) => line.includes("job complete")),
    );
    expect(completions).toHaveLength(1000);
    const troubles = four.flatMap((worker) =>
      worker.lines.filter((line) => /"level":("?(warn|error|fatal)"?|[456]0)/.test(line)),
    );
    expect(troubles).toEqual([]);
  }, 180_000);

  test("SIGTERM in mid-job gives the job back without costing an attempt, and exits 0", async () => {
    const { job_id, document_id } = await enqueue({ content: paragraphs(CHUNKS, "term") });
    embedding.misbehave("well");
    const stopped = start("stopped", { RAG_GRACE_SECONDS: "4" });
    await inMidJob(job_id, 16);

    stopped.signal("SIGTERM");

    expect(await stopped.ended).toBe(0);
    const row = await job(job_id);
    if (row.status === "queued") expect(row.attempts).toBe(0);
    expect(["queued", "complete"]).toContain(row.status);
    await start("next", {}, "--once").ended;
    expect(await live(document_id)).toHaveLength(CHUNKS);
    expect((await job(job_id)).attempts).toBe(1);
  });

  test("SIGTERM to a worker that still starts ends it at once with 0, and with nothing claimed", async () => {
    const { job_id } = await enqueue({ content: paragraphs(3, "early") });
    embedding.misbehave("hang");
    const canary = embedding.nextRequest();
    const starting = start("starting", { RAG_GRACE_SECONDS: "60" });
    await canary;

    starting.signal("SIGTERM");

    expect(await starting.ended).toBe(0);
    expect(starting.lines.join("\n")).not.toContain("RAG worker ready");
    expect(await job(job_id)).toMatchObject({ status: "queued", attempts: 0, worker_id: null });
  });

  test("a document that is uploaded again in mid-run ends with the newer content, each version whole", async () => {
    const first = await enqueue({ content: paragraphs(CHUNKS, "first"), external_id: "again" });
    start("one");
    start("two");
    await inMidJob(first.job_id, 16);
    const waiting = await enqueue({ content: paragraphs(30, "skipped"), external_id: "again" });
    const newest = await enqueue({ content: paragraphs(40, "newest"), external_id: "again" });
    expect(await job(waiting.job_id)).toMatchObject({ status: "cancelled", error_code: "job.superseded" });
    expect((await job(newest.job_id)).status).toBe("queued");

    await settled(newest.job_id, "complete");

    expect((await job(first.job_id)).status).toBe("complete");
    const chunks = await live(first.document_id);
    expect(chunks).toHaveLength(40);
    expect(chunks[0]?.content).toContain("newest");
  });

  const waiting = (jobId: string, code: string) =>
    vi.waitFor(
      async () => expect(await job(jobId)).toMatchObject({ status: "queued", error_code: code }),
      SOON,
    );

  test("a provider that limits for a moment holds the job, one that limits for long gives it back with the time", async () => {
    const { job_id } = await enqueue({ content: paragraphs(200, "limits") });
    start("patient");
    await inMidJob(job_id, 16);

    embedding.misbehave("rate-limited", 3);
    await inMidJob(job_id, 64);
    embedding.misbehave("rate-limited-window");
    await waiting(job_id, "embed.rate-limited");

    const [row] = await sql`select attempts, run_at > now() + interval '20 seconds' as later
      from public.rag_ingestion_queue where id = ${job_id}`;
    expect(row).toEqual({ attempts: 0, later: true });
  });

  test("a provider that goes away and comes back costs no job an attempt", async () => {
    const { job_id } = await enqueue({ content: paragraphs(200, "away") });
    start("patient");
    await inMidJob(job_id, 16);

    embedding.misbehave("server-error");
    await waiting(job_id, "embed.unavailable");
    embedding.misbehave("well");
    await sql`update public.rag_ingestion_queue set run_at = now() where id = ${job_id}`;

    await settled(job_id, "complete");
    expect((await job(job_id)).attempts).toBe(1);
  });

  test("a poisoned text fails its own document alone", async () => {
    await embedding.close();
    embedding = await startEmbeddingServer({ dimensions: 8, latencyMs: 5, poison: "POISON" });
    const good = await Promise.all(
      [1, 2, 3].map((n) => enqueue({ content: paragraphs(20, `good${n}`), external_id: `g${n}` })),
    );
    const bad = await enqueue({
      content: `${paragraphs(5, "bad")}\n\nThis one is POISON.`,
      external_id: "bad",
    });

    await start("only", {}, "--once").ended;

    for (const one of good) expect((await job(one.job_id)).status).toBe("complete");
    expect(await job(bad.job_id)).toMatchObject({
      status: "failed",
      error_code: "embed.input-rejected",
      attempts: 1,
    });
  });
});
