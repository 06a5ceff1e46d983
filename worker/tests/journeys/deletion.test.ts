// Erasure as an operator does it: while workers run, with the files in Storage, and proven empty afterwards.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import postgres from "postgres";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { describeWith, type FreshDatabase, freshDatabase } from "../services.ts";
import { type EmbeddingServer, startEmbeddingServer } from "../stand-ins/embedding-server.ts";
import { openStorageStandIn, type StorageStandIn } from "../stand-ins/storage.ts";
import { openWorld, type RagWorld } from "./rag-process.ts";

const SECRET = "quagga-canary-7319";

test("on the embedded database: ask, count, delete by id, and what was deleted is found no more", async () => {
  const world = await openWorld();
  try {
    await writeFile(join(world.folder, "ladder.md"), "# Ladders\n\nA ladder stands on firm ground.\n");
    await writeFile(join(world.folder, "other.md"), "# Others\n\nAnother text about weather.\n");
    await world.rag(["ingest", "ladder.md", "other.md", "--wait"]);
    const [hit] = (await world.rag(["search", "ladder", "--mode", "text", "--json"])).records;
    const id = String(hit?.document_id);

    const unasked = await world.rag(["delete", id]);
    const aimless = await world.rag(["delete", "--json"]);
    const dry = await world.rag(["delete", id, "--dry-run", "--json"]);
    const deleted = await world.rag(["delete", id, "--yes"]);
    const again = await world.rag(["delete", id, "--yes", "--json"]);
    const left = (await world.rag(["search", "ladder weather", "--mode", "text", "--json"])).records;

    expect(unasked).toMatchObject({ code: 2, err: expect.stringContaining("--yes") });
    expect(aimless.records).toMatchObject([{ error: { code: "usage.invalid" } }]);
    expect(dry.records).toEqual([{ would_delete: 1 }]);
    expect(deleted, deleted.err).toMatchObject({ code: 0, out: "1 document deleted, with 1 chunk.\n" });
    expect(again).toMatchObject({ code: 1, records: [{ deleted: 0, chunks: 0, originals: 0, unknown: 1 }] });
    expect(left.map((row) => row.title)).toEqual(["other.md"]);
  } finally {
    await world.close();
  }
}, 300_000);

describeWith("postgres", "erasure on real Postgres with Storage", () => {
  let database: FreshDatabase;
  let storage: StorageStandIn;
  let embedding: EmbeddingServer;
  let world: RagWorld;
  let sql: postgres.Sql;
  let settings: Record<string, string>;

  beforeAll(async () => {
    [database, storage, embedding] = await Promise.all([
      freshDatabase(),
      openStorageStandIn(),
      startEmbeddingServer({ dimensions: 8 }),
    ]);
    storage.put("docs", "theirs.pdf", Buffer.from("of the application"));
    settings = {
      DATABASE_URL: database.url,
      SUPABASE_URL: storage.url,
      SUPABASE_SECRET_KEY: storage.key,
      RAG_STORAGE_BUCKET: "uploads",
      OPENAI_BASE_URL: embedding.baseUrl,
      RAG_EMBEDDING_MODEL: "stand-in",
    };
    sql = postgres(database.url, { max: 1, onnotice: () => {} });
  });
  beforeEach(async () => {
    world = await openWorld();
    storage.put("uploads", "sentinel", Buffer.from("stays"));
    await world.rag(["migrate"], settings);
    return () => world.close();
  });
  afterAll(async () => {
    await sql?.end();
    await Promise.all([database?.drop(), storage?.close(), embedding?.close()]);
  });

  const uploaded = () => storage.requests.filter((route) => route.startsWith("POST /object/uploads/")).length;

  test(
    "a user's files and all that was made of them go, and a file that another document shares stays",
    { timeout: 120_000 },
    async () => {
      await writeFile(join(world.folder, "mine.md"), `Only mine: ${SECRET}.\n`);
      await writeFile(join(world.folder, "shared.md"), "Read by two of us.\n");
      await world.rag(["ingest", "mine.md", "shared.md", "--tenant", "acme"], settings);
      await sql`update rag_documents set user_id = 'ann'`;
      const shared = await sql`select source_uri from rag_documents where title = 'shared.md'`;
      await sql`insert into rag_documents (tenant_id, user_id, source_uri) values ('acme', 'bob', ${shared[0]?.source_uri})`;
      await world.rag(["worker", "--once"], settings);
      expect(uploaded()).toBe(2);
      const told =
        await sql`select activity_type, count(*)::int as rows from rag_activity_logs group by 1 order by 1`;
      expect([...told]).toEqual([
        { activity_type: "job.claimed", rows: 2 },
        { activity_type: "job.completed", rows: 2 },
      ]);

      const deleted = await world.rag(["delete", "--user", "ann", "--yes", "--json"], settings);

      expect(deleted.records, deleted.err).toMatchObject([{ deleted: 2, originals: 1 }]);
      expect(storage.get("uploads", "sentinel")).toBeDefined();
      const tables = await sql`select c.relname as name from pg_class c
        where c.relnamespace = 'public'::regnamespace and c.relname like 'rag\\_%' and c.relkind in ('r', 'p')`;
      for (const { name } of tables) {
        const rows = await sql`select 1 from ${sql(name)} t where to_jsonb(t)::text like ${`%${SECRET}%`}`;
        expect(rows.length, name).toBe(0);
      }
      expect(await sql`select user_id from rag_documents`).toMatchObject([{ user_id: "bob" }]);
    },
  );

  test(
    "a tenant is erased while workers are at work on it, and they go on with the others",
    { timeout: 180_000 },
    async () => {
      for (let at = 0; at < 30; at += 1)
        await writeFile(join(world.folder, `doomed-${at}.md`), `Doomed ${at}. `.repeat(2_000));
      await writeFile(join(world.folder, "kept.md"), "Kept.\n");
      await world.rag(["ingest", ".", "--tenant", "doomed"], settings);
      const workers = [0, 1].map(() => world.start(["worker"], { ...settings, PORT: "0" }));
      const seen = async (status: string) =>
        (await sql`select 1 from rag_ingestion_queue where tenant_id = 'doomed' and status = ${status}`)
          .length;
      await expect.poll(() => seen("complete"), { timeout: 60_000 }).toBeGreaterThan(2);

      const deleted = await world.rag(["delete", "--tenant", "doomed", "--yes", "--json"], settings);
      await world.rag(["ingest", "kept.md", "--tenant", "spared", "--wait"], settings);
      for (const worker of workers) worker.signal("SIGTERM");
      const ends = await Promise.all(workers.map((worker) => worker.ended));

      expect(deleted.records, deleted.err).toMatchObject([{ deleted: 31 }]);
      expect(
        ends.map(({ code }) => code),
        ends.map(({ err }) => err).join("\n"),
      ).toEqual([0, 0]);
      const chunks = await sql`select distinct tenant_id from rag_document_chunks where tenant_id <> 'acme'`;
      expect(chunks).toMatchObject([{ tenant_id: "spared" }]);
      expect(await sql`select 1 from rag_documents where tenant_id = 'doomed'`).toHaveLength(0);
    },
  );
});
