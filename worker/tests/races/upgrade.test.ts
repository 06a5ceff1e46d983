// The released worker and this tree's on one queue, while the schema goes from the released one to the next under
// load: nothing may be lost or done twice, no job may fail or spend an attempt, and readers notice nothing.
import postgres from "postgres";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { describeWith, type FreshDatabase, freshDatabase } from "../services.ts";
import { type EmbeddingServer, startEmbeddingServer } from "../stand-ins/embedding-server.ts";
import { type Load, startLoad } from "./upgrade/load.ts";
import { migrateToNext, NEXT_FILE } from "./upgrade/next-schema.ts";
import { type ReleasedProduct, unpackReleased } from "./upgrade/released-product.ts";
import { endAll, paragraphs, startWorkerProcess, type WorkerProcess } from "./worker-process.ts";

vi.setConfig({ testTimeout: 240_000 });
const SOON = { timeout: 90_000, interval: 100 };
const READY = "RAG worker ready";
/** A few requests a document: jobs live long enough to be met by what happens. */
const settings = { RAG_JOB_CONCURRENCY: "3", RAG_EMBEDDING_BATCH: "4", RAG_GRACE_SECONDS: "10" };

describeWith("postgres", "an upgrade", () => {
  let released: ReleasedProduct;
  let database: FreshDatabase;
  let sql: postgres.Sql;
  let embedding: EmbeddingServer;
  let workers: WorkerProcess[];
  let load: Load | null;

  beforeAll(async () => {
    released = await unpackReleased();
  });
  afterAll(() => released?.remove());
  beforeEach(async () => {
    database = await freshDatabase();
    await released.rag(["migrate"], { DATABASE_URL: database.url });
    sql = postgres(database.url, { max: 4, onnotice: () => {} });
    embedding = await startEmbeddingServer({ dimensions: 8, latencyMs: 120 });
    workers = [];
    load = null;
  });
  afterEach(async () => {
    await load?.stop();
    await endAll(workers);
    await embedding.close();
    await sql.end({ timeout: 1 });
    await database.drop();
  });

  const start = async (id: string, version: "released" | "next") => {
    const worker = startWorkerProcess({
      databaseUrl: database.url,
      embeddingUrl: embedding.baseUrl,
      id,
      environment: settings,
      ...(version === "released" && { main: released.main }),
    });
    workers.push(worker);
    await worker.line(READY);
    return worker;
  };
  const stop = async (worker: WorkerProcess) => {
    worker.signal("SIGTERM");
    expect(await worker.ended, worker.lines.slice(-10).join("\n")).toBe(0);
  };
  /** Each of them has completed two jobs that it began after this call. */
  const work = async (...each: readonly WorkerProcess[]) => {
    const [clock] = await sql`select clock_timestamp()::text as now`;
    await vi.waitFor(async () => {
      const rows = await sql`
        select split_part(worker_id, '/', 1) as name from public.rag_ingestion_queue
        where status = 'complete' and started_at > ${clock?.now}::timestamptz
        group by 1 having count(*) >= 2`;
      expect(rows.map((row) => row.name)).toEqual(expect.arrayContaining(each.map(({ id }) => id)));
    }, SOON);
  };

  test("two versions share a queue while its schema changes under them; the old ones leave, the new ones end it", async () => {
    const old = await Promise.all([start("old-1", "released"), start("old-2", "released")]);
    const young = await Promise.all([start("new-1", "next"), start("new-2", "next")]);
    load = await startLoad(sql);
    await work(...old, ...young);

    const { applied, already } = await migrateToNext(database.url);
    await work(...old, ...young);
    await Promise.all(old.map(stop));
    await work(...young);
    await load.stop();

    expect(already).toEqual(released.migrations);
    expect(applied.at(-1)).toBe(NEXT_FILE);
    await load.expectWhole();
  });

  test("the database goes first and the workers follow one by one; one that went back serves too", async () => {
    const old = await Promise.all([start("old-1", "released"), start("old-2", "released")]);
    load = await startLoad(sql);
    await work(...old);

    await migrateToNext(database.url);
    await work(...old);
    const young: WorkerProcess[] = [];
    for (const former of old) {
      const worker = await start(former.id.replace("old", "new"), "next");
      await stop(former);
      await work(worker);
      young.push(worker);
    }
    const back = await start("old-3", "released");
    await Promise.all(young.map(stop));
    await work(back);
    await load.stop();

    await load.expectWhole();
  });

  test("a released worker leaves what it does not know to the next one, or fails it by its name", async () => {
    await migrateToNext(database.url);
    const [strange] = await sql`
      insert into public.rag_ingestion_queue (kind, priority) values ('podcast', 1) returning id`;
    const [unreadable] = await sql`
      with d as (insert into public.rag_documents (kind, source_uri) values ('podcast', 'inline:p') returning id)
      insert into public.rag_ingestion_queue (document_id, priority) select id, 1 from d returning id`;
    const [known] = await sql`
      select public.rag_enqueue(${sql.json({ content: paragraphs(3, "known"), title: "known" })}) ->> 'job_id' as id`;

    await start("old-1", "released");

    const job = async (id: string) =>
      (await sql`select status, attempts, error_code from public.rag_ingestion_queue where id = ${id}`)[0];
    await vi.waitFor(async () => expect(await job(known?.id)).toMatchObject({ status: "complete" }), SOON);
    await vi.waitFor(async () => expect(await job(unreadable?.id)).toMatchObject({ status: "failed" }), SOON);
    expect(await job(unreadable?.id)).toMatchObject({ error_code: "job.unreadable" });
    expect(await job(strange?.id)).toMatchObject({ status: "queued", attempts: 0 });
  });
});
