// The model is changed under real workers, one of them killed midway, while an application searches all the time and
// adds and changes documents: no search fails, misses a document or mixes models.
import { setTimeout as after } from "node:timers/promises";
import postgres from "postgres";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { migrate } from "../../database/migrate.ts";
import { openPostgresSession } from "../../database/postgres-session.ts";
import { describeWith, type FreshDatabase, freshDatabase } from "../services.ts";
import { type EmbeddingServer, startEmbeddingServer } from "../stand-ins/embedding-server.ts";
import { endAll, paragraphs, startWorkerProcess, type WorkerProcess } from "./worker-process.ts";

const DOCUMENTS = 30;
const SOON = { timeout: 90_000, interval: 50 };
const OLD = { RAG_EMBEDDING_MODEL: "old-model", RAG_EMBEDDING_DIMENSIONS: "8" };
const NEW = { RAG_EMBEDDING_MODEL: "new-model", RAG_EMBEDDING_DIMENSIONS: "12" };

describeWith("postgres", "a change of models under workers", () => {
  let database: FreshDatabase;
  let sql: postgres.Sql;
  let providers: { readonly old: EmbeddingServer; readonly next: EmbeddingServer };
  let workers: WorkerProcess[];
  let stopSearching = async () => {};

  beforeEach(async () => {
    database = await freshDatabase();
    const session = await openPostgresSession({ url: database.url });
    await migrate(session);
    await session.close();
    sql = postgres(database.url, { max: 4, onnotice: () => {} });
    providers = {
      old: await startEmbeddingServer({ dimensions: 8 }),
      next: await startEmbeddingServer({ dimensions: 12, latencyMs: 40 }),
    };
    workers = [];
  }, 60_000);
  afterEach(async () => {
    await stopSearching();
    await endAll(workers);
    await Promise.all([providers.old.close(), providers.next.close()]);
    await sql.end({ timeout: 1 });
    await database.drop();
  });

  const start = (id: string, environment: Record<string, string>) => {
    const provider = environment === OLD ? providers.old : providers.next;
    const worker = startWorkerProcess({
      databaseUrl: database.url,
      embeddingUrl: provider.baseUrl,
      id,
      environment,
    });
    workers.push(worker);
    return worker;
  };
  const enqueue = (key: string, content: string) =>
    sql`select public.rag_enqueue(${sql.json({ external_id: key, content })})`;
  const models = async () => {
    const [row] = await sql`select public.rag_describe_models() as answer`;
    return row?.answer as { models: { model: string; state: string }[]; switch: { done: number } | null };
  };
  const liveModel = async () => (await models()).models.find(({ state }) => state === "live")?.model;
  const idle = () =>
    vi.waitFor(async () => {
      const [row] = await sql`select count(*)::integer as open from public.rag_ingestion_queue
        where status in ('queued', 'processing') and kind = 'document'`;
      expect(row?.open).toBe(0);
    }, SOON);
  /** How many documents a search by this model finds; throws when one row is not of it. */
  const found = async (model: string, dimensions: number) => {
    const question = `[${Array.from({ length: dimensions }, () => 1).join()}]`;
    const rows = await sql`select s.document_id, c.embedding_model, s.content = c.content as is_whole
      from public.rag_search_chunks(${question}::extensions.vector, ${model}, 1000) s
      join public.rag_document_chunks c on c.document_id = s.document_id and c.chunk_index = s.chunk_index
        and c.embedding_model = ${model} and c.content = s.content`;
    return new Set(rows.map((row) => String(row.document_id))).size;
  };
  /** Searches by the model that an application would name, again and again; answers the fewest documents seen. */
  const searchAllTheTime = () => {
    let on = true;
    const seen = { searches: 0, fewest: Number.POSITIVE_INFINITY, models: new Set<string>() };
    const running = (async () => {
      while (on) {
        const model = (await liveModel()) ?? "";
        // The application learns of the switch a little late.
        await after(20);
        seen.fewest = Math.min(seen.fewest, await found(model, model === "new-model" ? 12 : 8));
        seen.searches += 1;
        seen.models.add(model);
      }
    })();
    stopSearching = async () => {
      on = false;
      await running;
    };
    return seen;
  };

  test(
    "no search fails, misses a document or mixes models, and what is stored survives a kill",
    { timeout: 240_000 },
    async () => {
      for (let at = 0; at < DOCUMENTS; at += 1) await enqueue(`d${at}`, paragraphs(20, `first-${at}`));
      start("old", OLD);
      await idle();
      expect(await found("old-model", 8)).toBe(DOCUMENTS);
      const seen = searchAllTheTime();
      await sql`select public.rag_begin_switch('new-model', 12)`;
      const victim = start("victim", NEW);
      await vi.waitFor(async () => expect((await models()).switch?.done).toBeGreaterThan(3), SOON);
      // Meanwhile some change, and some are new.
      for (let at = 0; at < 5; at += 1) await enqueue(`d${at}`, paragraphs(20, `second-${at}`));
      for (let at = 0; at < 5; at += 1) await enqueue(`n${at}`, paragraphs(20, `new-${at}`));
      victim.signal("SIGKILL");
      await victim.ended;
      start("rescuer", NEW);

      await vi.waitFor(async () => expect(await liveModel()).toBe("new-model"), SOON);

      await idle();
      await vi.waitFor(async () => expect(seen.models.has("new-model")).toBe(true), SOON);
      await stopSearching();
      expect(seen.fewest).toBe(DOCUMENTS);
      expect(seen.searches).toBeGreaterThan(10);
      const all = { old: await found("old-model", 8), next: await found("new-model", 12) };
      expect(all).toEqual({ old: DOCUMENTS + 5, next: DOCUMENTS + 5 });
      // Twice at most: what was under way when the worker died.
      const { texts, distinct } = providers.next.seen;
      expect(texts - distinct.size).toBeLessThanOrEqual(4 * 6 * 16 + 2);
      // The old worker tells its operator, and does no harm.
      await vi.waitFor(() => expect(workers[0]?.lines.join("\n")).toContain("embed.model-mismatch"), SOON);
    },
  );
});
