// A real worker that polls once in ten minutes, and the buses that wake it meanwhile.

import { connect } from "@nats-io/transport-node";
import { createClient } from "@redis/client";
import postgres from "postgres";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { migrate } from "../../database/migrate.ts";
import { openPostgresSession } from "../../database/postgres-session.ts";
import { freePort, ownBroker } from "../../wake-buses/testing/own-server.ts";
import { HINT_CHANNEL } from "../../wake-buses/wake-bus.ts";
import { describeWith, type FreshDatabase, freshDatabase, serviceUrl } from "../services.ts";
import { type EmbeddingServer, startEmbeddingServer } from "../stand-ins/embedding-server.ts";
import { startTcpProxy, type TcpProxy } from "../stand-ins/tcp-proxy.ts";
import { endAll, startWorkerProcess, type WorkerProcess } from "./worker-process.ts";

const SOON = { timeout: 60_000, interval: 50 };
const SELDOM = { RAG_POLL_INTERVAL_MS: "600000" };
// The pauses between two polls double, so that after this time the next one is as long away again.
const LONG_IDLE_MS = 13_000;
const AT_ONCE_MS = 1000;

describeWith(["postgres", "redis", "nats"], "waking an idle worker", () => {
  let database: FreshDatabase;
  let sql: postgres.Sql;
  let embedding: EmbeddingServer;
  let workers: WorkerProcess[];
  let proxy: TcpProxy | null;

  beforeEach(async () => {
    database = await freshDatabase();
    const session = await openPostgresSession({ url: database.url });
    await migrate(session);
    await session.close();
    sql = postgres(database.url, { max: 2, onnotice: () => {} });
    embedding = await startEmbeddingServer({ dimensions: 8 });
    workers = [];
    proxy = null;
  });
  afterEach(async () => {
    await endAll(workers);
    await proxy?.close();
    await embedding.close();
    await sql.end({ timeout: 1 });
    await database.drop();
  });

  const start = (environment: Record<string, string>) => {
    const worker = startWorkerProcess({
      databaseUrl: database.url,
      embeddingUrl: embedding.baseUrl,
      id: "idle",
      environment: { ...SELDOM, ...environment },
    });
    workers.push(worker);
    return worker;
  };
  const enqueue = async (content: string) => {
    const [row] = await sql`select public.rag_enqueue(${sql.json({ content })}) as answer`;
    return row?.answer as { job_id: string; document_id: string };
  };
  /** Milliseconds by the database's clock from the insert to the claim, once the job is complete. */
  const pickupMs = (id: string) =>
    vi.waitFor(async () => {
      const [row] = await sql`select status, extract(epoch from started_at - submitted_at) * 1000 as ms
        from public.rag_ingestion_queue where id = ${id}`;
      expect(row?.status).toBe("complete");
      return Number(row?.ms);
    }, SOON);
  const idleFor = (ms: number) => sql`select pg_sleep(${ms / 1000})`;

  test.each([
    ["redis", "REDIS_URL", publishOverRedis],
    ["nats", "NATS_URL", publishOverNats],
  ] as const)("a job of a long idle worker is taken at once, told of by %s", async (name, setting, publish) => {
    await using broker = await ownBroker(name);
    const worker = start({ [setting]: broker.url });
    await worker.line("wake-up bus connected");
    await worker.line("RAG worker ready");
    await idleFor(LONG_IDLE_MS);

    const { job_id } = await enqueue("a document that was not there before");
    await publish(broker.url, job_id);

    expect(await pickupMs(job_id)).toBeLessThan(AT_ONCE_MS);
  });

  test("a job of a long idle worker is taken at once, told of by the insert itself", async () => {
    const worker = start({});
    await worker.line("wake-up bus connected");
    await worker.line("RAG worker ready");
    await idleFor(LONG_IDLE_MS);

    const { job_id } = await enqueue("a document that was not there before");

    expect(await pickupMs(job_id)).toBeLessThan(AT_ONCE_MS);
  });

  test("a worker whose broker is away starts, and takes jobs within its two seconds", async () => {
    const worker = start({ REDIS_URL: `redis://:hunter2@127.0.0.1:${await freePort()}` });
    await worker.line("wake-up bus lost");
    await worker.line("RAG worker ready");
    await idleFor(LONG_IDLE_MS);

    const { job_id } = await enqueue("a document of which nobody tells");

    expect(await pickupMs(job_id)).toBeLessThan(2000 + AT_ONCE_MS);
    expect(worker.lines.join("\n")).not.toContain("hunter2");
    worker.signal("SIGTERM");
    expect(await worker.ended).toBe(0);
  });

  test("a broker that goes in mid-job, and comes again, costs no job and no worker", async () => {
    const { hostname, port } = new URL(serviceUrl("redis"));
    proxy = await startTcpProxy({ host: hostname, port: Number(port) });
    const worker = start({ REDIS_URL: proxy.through(serviceUrl("redis")) });
    await worker.line("RAG worker ready");
    proxy.refuse(true);
    const first = await enqueue("the first document");
    proxy.reset();
    const second = await enqueue("the second document");
    await worker.line("wake-up bus lost");

    proxy.refuse(false);

    await worker.line("wake-up bus regained");
    await pickupMs(first.job_id);
    await pickupMs(second.job_id);
    worker.signal("SIGTERM");
    expect(await worker.ended).toBe(0);
  });
});

async function publishOverRedis(url: string, jobId: string): Promise<void> {
  const client = createClient({ url });
  await client.connect();
  await client.publish(HINT_CHANNEL, JSON.stringify({ job_id: jobId }));
  client.destroy();
}

async function publishOverNats(url: string, jobId: string): Promise<void> {
  const connection = await connect({ servers: new URL(url).host });
  connection.publish(HINT_CHANNEL, JSON.stringify({ job_id: jobId }));
  await connection.flush();
  await connection.close();
}
