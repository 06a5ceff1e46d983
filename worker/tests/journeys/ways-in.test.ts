// Real servers of the test's own, a real worker process, and two users in a real browser: what comes in over HTTP and
// NATS becomes vectors, each user sees his own progress live, and servers that go away lose nothing accepted.
import { rm } from "node:fs/promises";
import { jetstream } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { type Browser, chromium, type Page } from "playwright-core";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { migrate } from "../../database/migrate.ts";
import { openPostgresSession } from "../../database/postgres-session.ts";
import { SECRET, signIn } from "../../realtime/testing/sign-in.ts";
import { type OwnServer, ownServer } from "../../wake-buses/testing/own-server.ts";
import { describeWith, type FreshDatabase, freshDatabase, serviceUrl } from "../services.ts";
import { type EmbeddingServer, startEmbeddingServer } from "../stand-ins/embedding-server.ts";
import { openWorld, type RagWorld, type RunningRag } from "./rag-process.ts";

const TOKEN = "canary-http-token";
const WORKER_MS = 170_000;
const PATIENCE = { timeout: 100_000, interval: 200 };
vi.setConfig({ testTimeout: 240_000, hookTimeout: 60_000 });

describeWith(["postgres", "redis", "nats", "chromium"], "ways in, and out to a browser", () => {
  let world: RagWorld;
  let database: FreshDatabase;
  let sql: Awaited<ReturnType<typeof openPostgresSession>>;
  let provider: EmbeddingServer;
  let redis: OwnServer;
  let nats: OwnServer;
  let store: string;
  let browser: Browser;
  let worker: RunningRag;
  let url: string;

  beforeEach(async () => {
    store = `/tmp/rag-journey-jetstream-${process.pid}-${Math.random().toString(36).slice(2)}`;
    [provider, world, database, redis, nats] = await Promise.all([
      startEmbeddingServer({ dimensions: 8, latencyMs: 100 }),
      openWorld(),
      freshDatabase(),
      ownServer("redis-server", (port) => ["--bind", "127.0.0.1", "--port", String(port), "--save", ""]),
      ownServer("nats-server", (port) => [
        ...["--addr", "127.0.0.1", "--port", String(port), "--jetstream", "--store_dir", store],
      ]),
    ]);
    sql = await openPostgresSession({ url: database.url });
    await migrate(sql);
    browser = await chromium.launch({
      executablePath: serviceUrl("chromium"),
      args: [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
      ],
    });
    await startWorker();
  });
  afterEach(async () => {
    await browser?.close();
    await world?.close();
    await provider?.close();
    await sql?.close();
    await database?.drop();
    await Promise.all([redis?.kill(), nats?.kill()]);
    await rm(store, { recursive: true, force: true });
  });

  async function startWorker(): Promise<void> {
    const settings = {
      OPENAI_API_KEY: "k",
      OPENAI_BASE_URL: provider.baseUrl,
      RAG_EMBEDDING_MODEL: "stand-in",
      RAG_EMBEDDING_DIMENSIONS: "8",
      RAG_EMBEDDING_CONCURRENCY: "2",
      DATABASE_URL: database.url,
      REDIS_URL: `redis://127.0.0.1:${redis.port}`,
      NATS_URL: `nats://127.0.0.1:${nats.port}`,
      SUPABASE_JWT_SECRET: SECRET,
      RAG_GATEWAY: "true",
      RAG_HTTP_TOKEN: TOKEN,
      RAG_KINDS: "document,relationships",
      RAG_POLL_INTERVAL_MS: "1000",
      RAG_EMBEDDING_BATCH: "1",
      PORT: "0",
      RAG_HTTP_HOST: "127.0.0.1",
    };
    worker = world.start(["worker"], settings, WORKER_MS);
    url = await vi.waitFor(() => {
      const started = /"event":"worker.started"[^\n]*"http":"([^"]+)"/.exec(worker.output());
      expect(started, worker.output()).not.toBeNull();
      return started?.[1] ?? "";
    }, PATIENCE);
  }

  type Heard = { type: string; payload: Record<string, unknown> };
  /** A tab of a signed-in user that keeps what it hears, and asks nobody else. */
  async function tabOf(user: string): Promise<Page> {
    const page = await (await browser.newContext()).newPage();
    await page.evaluate(
      ({ address, token }) => {
        const heard: unknown[] = [];
        Object.assign(globalThis, { heard });
        const socket = new WebSocket(address, ["bearer", token]);
        socket.onmessage = ({ data }) => heard.push(JSON.parse(data));
      },
      { address: `${url.replace("http", "ws")}/ws`, token: await signIn(user) },
    );
    await untilHeard(page, (heard) => heard.some(({ type }) => type === "gateway.ready"));
    return page;
  }
  const heardBy = (page: Page) => page.evaluate(() => (globalThis as unknown as { heard: Heard[] }).heard);
  const untilHeard = (page: Page, enough: (heard: readonly Heard[]) => boolean) =>
    vi.waitFor(async () => {
      const heard = await heardBy(page);
      expect(enough(heard), JSON.stringify(heard)).toBe(true);
      return heard;
    }, PATIENCE);

  async function upload(user: string, subject: string, paragraphs: number): Promise<string> {
    const text = Array.from(
      { length: paragraphs },
      (_, place) =>
        `${subject} number ${place}. ${`The ${subject} of ${user} is kept in drawer ${place}. `.repeat(12)}`,
    ).join("\n\n");
    const form = new FormData();
    form.set("user_id", user);
    form.set("file", new Blob([text], { type: "text/plain" }), `${subject}.txt`);
    const answer = await fetch(`${url}/documents`, {
      method: "POST",
      headers: { authorization: `Bearer ${TOKEN}` },
      body: form,
    });
    expect(answer.status).toBe(202);
    return String(((await answer.json()) as { job_id: string }).job_id);
  }
  const statusOf = async (jobId: string) =>
    (await sql.query("select status from public.rag_ingestion_queue where id = $1", [jobId]))[0]?.status;
  const complete = (jobId: string) =>
    vi.waitFor(async () => expect(await statusOf(jobId)).toBe("complete"), PATIENCE);

  test("two users see their own job's progress live, and nothing of each other's", async () => {
    const [ann, annToo, ben] = [await tabOf("ann"), await tabOf("ann"), await tabOf("ben")];

    const jobs = { ann: await upload("ann", "lantern", 30), ben: await upload("ben", "compass", 30) };

    for (const [tab, own, other] of [
      [ann, jobs.ann, jobs.ben],
      [annToo, jobs.ann, jobs.ben],
      [ben, jobs.ben, jobs.ann],
    ] as const) {
      const heard = await untilHeard(tab, (all) => all.some(({ payload }) => payload.status === "complete"));
      const types = heard.map(({ type }) => type);
      expect(types).toContain("job.progress");
      expect(types.indexOf("job.progress")).toBeLessThan(
        heard.findIndex(({ payload }) => payload.status === "complete"),
      );
      expect(heard.find(({ type }) => type === "document.status_updated")).toBeDefined();
      expect(JSON.stringify(heard)).toContain(own);
      expect(JSON.stringify(heard)).not.toContain(other);
      expect(JSON.stringify(heard)).not.toMatch(/lantern|compass/);
    }
    expect(worker.output()).not.toContain(await signIn("ann"));
  });

  test("a message over NATS becomes vectors and relationships, through a kill of worker and server", async () => {
    const sender = await connect({ port: nats.port, reconnectTimeWait: 100, maxReconnectAttempts: -1 });
    const send = (id: number) =>
      jetstream(sender).publish(
        "mcp.page.created",
        JSON.stringify({
          message_id: `m-${id}`,
          data: {
            entity_id: String(id),
            entity_type: "page",
            content: `Page ${id} tells of bridges, as page:${id - 1} does.`,
          },
        }),
      );
    await vi.waitFor(() => send(0), PATIENCE); // The worker makes the stream when it has started.
    for (let id = 1; id < 20; id += 1) await send(id);

    worker.signal("SIGKILL");
    await worker.ended;
    await nats.kill();
    await nats.start();
    await vi.waitFor(() => send(20), PATIENCE);
    for (let id = 21; id < 40; id += 1) await send(id);
    await startWorker();

    await vi.waitFor(async () => {
      const [row] = await sql.query(
        `select count(distinct d.external_id)::int as pages from public.rag_documents d
         join public.rag_live_chunks c on c.document_id = d.id where d.collection = 'wiki_pages'`,
      );
      expect(row).toEqual({ pages: 40 });
    }, PATIENCE);
    // What the killed worker held comes again when the stream has waited for its acknowledgement.
    await vi.waitFor(async () => {
      const jobs = await sql.query(
        "select kind, count(*)::int as jobs from public.rag_ingestion_queue group by kind order by kind",
      );
      expect(jobs).toEqual([
        { kind: "document", jobs: 40 },
        { kind: "relationships", jobs: 40 },
      ]);
    }, PATIENCE);
    // Each but the first names the one before it, whichever of the two came first.
    await vi.waitFor(async () => {
      const [row] = await sql.query(
        `select count(*)::int as named from public.rag_relationships r
         join public.rag_documents s on s.id = r.source_id join public.rag_documents t on t.id = r.target_id
         where r.relationship_type = 'cross_reference' and s.external_id::int = t.external_id::int + 1`,
      );
      expect(row).toEqual({ named: 39 });
    }, PATIENCE);
    await sender.close();
  });

  test("with Redis gone jobs are done all the same, and clients are told to ask", async () => {
    const ann = await tabOf("ann");
    await redis.kill();
    await untilHeard(ann, (heard) => heard.some(({ type }) => type === "gateway.degraded"));

    const job = await upload("ann", "sextant", 3);
    await complete(job);
    await redis.start();

    await untilHeard(ann, (heard) =>
      heard.some(({ type, payload }) => type === "gateway.resumed" && payload.catch_up === true),
    );
    const later = await upload("ann", "barometer", 3);
    await untilHeard(ann, (heard) =>
      heard.some(({ payload }) => payload.job_id === later && payload.status === "complete"),
    );
    expect(worker.output()).toContain("realtime.lost");
  });
});
