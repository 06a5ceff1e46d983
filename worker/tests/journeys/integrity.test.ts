// Looking after what is stored as an operator does it: files, objects and rows damaged behind the worker's back.
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import postgres from "postgres";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { describeWith, type FreshDatabase, freshDatabase } from "../services.ts";
import { type EmbeddingServer, startEmbeddingServer } from "../stand-ins/embedding-server.ts";
import { openStorageStandIn, type StorageStandIn } from "../stand-ins/storage.ts";
import { openWorld, type RagWorld } from "./rag-process.ts";

describeWith("postgres", "rag sync on real Postgres with files and Storage", () => {
  let database: FreshDatabase;
  let storage: StorageStandIn;
  let embedding: EmbeddingServer;
  let world: RagWorld;
  let sql: postgres.Sql;
  let settings: Record<string, string>;

  beforeAll(async () => {
    embedding = await startEmbeddingServer({ dimensions: 8 });
  });
  beforeEach(async () => {
    [database, storage, world] = await Promise.all([freshDatabase(), openStorageStandIn(), openWorld()]);
    sql = postgres(database.url, { max: 1, onnotice: () => {} });
    await mkdir(join(world.folder, "root"));
    settings = {
      DATABASE_URL: database.url,
      SUPABASE_URL: storage.url,
      SUPABASE_SECRET_KEY: storage.key,
      RAG_STORAGE_BUCKET: "uploads",
      RAG_DOCUMENT_ROOT: join(world.folder, "root"),
      OPENAI_BASE_URL: embedding.baseUrl,
      RAG_EMBEDDING_MODEL: "stand-in",
    };
    await world.rag(["migrate"], settings);
    return async () => {
      await sql.end();
      await Promise.all([world.close(), storage.close()]);
      await database.drop();
    };
  });
  afterAll(() => embedding.close());

  const write = (name: string, text: string) => writeFile(join(world.folder, "root", name), text);
  const sync = (...args: readonly string[]) => world.rag(["sync", ...args, "--json"], settings);
  const codes = (records: readonly Record<string, unknown>[]) =>
    records.flatMap(({ finding }) => (finding ? [(finding as { code: string }).code] : [])).sort();

  test(
    "each damage is told once, a dry run changes nothing, and after the repair and a worker's run all is clean",
    { timeout: 180_000 },
    async () => {
      for (const name of ["kept", "changed", "gone"]) await write(`${name}.md`, `The ${name} file.\n`);
      for (const name of ["here", "lost", "longer"])
        storage.put("docs", `${name}.txt`, Buffer.from(`The object ${name}.`));
      await world.rag(["ingest", "root"], settings);
      await sql`insert into rag_documents (title, source_uri)
        select n, 'storage://docs/' || n || '.txt' from unnest(array['here', 'lost', 'longer']) n`;
      await sql`insert into rag_ingestion_queue (document_id)
        select id from rag_documents where source_uri like 'storage:%'`;
      await world.rag(["worker", "--once"], settings);
      const whole = await sync();
      expect(whole, whole.err).toMatchObject({ code: 0, records: [{ clean: true, looked_at: 12 }] });

      await write("changed.md", "The file is another one.\n");
      await rm(join(world.folder, "root", "gone.md"));
      storage.put("docs", "longer.txt", Buffer.from("The object is longer now."));
      storage.put("uploads", "folder/nobody's.txt", Buffer.from("Nobody knows of me."));
      await sql`update rag_documents set source_uri = 'storage://docs/no-more.txt' where title = 'lost'`;
      const [orphan] = await sql`select id from rag_documents where title = 'here'`;
      await sql.begin(async (own) => {
        await own`set local session_replication_role = replica`;
        await own`insert into rag_relationships (tenant_id, source_id, target_id, relationship_type, strength)
          values ('default', ${orphan?.id}, ${"00000000-0000-4000-8000-00000000dead"}, 'cross_reference', 1)`;
        await own`delete from rag_document_chunks where document_id = ${orphan?.id}`;
      });

      const seen = await sync();
      const readable = await world.rag(["sync"], settings);
      const repaired = await sync("--repair");
      const left = await sync();
      await world.rag(["worker", "--once"], settings);
      const clean = await world.rag(["sync"], settings);

      expect(codes(seen.records), seen.err).toEqual([
        "file.changed",
        "file.gone",
        "relationship.orphaned",
        "storage.object-changed",
        "storage.object-gone",
        "storage.unknown-object",
        "vector.missing",
      ]);
      expect(seen).toMatchObject({ code: 1 });
      expect(seen.records.at(-1)).toMatchObject({ findings: 7, repaired: 0, clean: false });
      expect(readable).toMatchObject({ code: 1 });
      expect(readable.out).toContain("Nothing was changed; --repair repairs them.");
      expect(repaired.records.at(-1), repaired.err).toMatchObject({ findings: 7, repaired: 7, skipped: 0 });
      expect(repaired.code).toBe(0);
      expect(left, left.err).toMatchObject({ code: 0, records: [{ clean: true }] });
      expect(clean).toMatchObject({
        code: 0,
        out: expect.stringMatching(/^Clean\. \d+ items looked at\.\n$/),
      });
      const titles = await sql`select title from rag_documents where status = 'ingested' order by 1`;
      expect(titles.map(({ title }) => title)).toEqual([
        "changed.md",
        "here",
        "kept.md",
        "longer",
        "nobody's.txt",
      ]);
      const [changed] = await sql`select c.content from rag_live_chunks c where c.title = 'changed.md'`;
      expect(changed?.content).toContain("another one");
      const logged =
        await sql`select metadata ->> 'code' as code from rag_activity_logs where activity_type = 'integrity.repaired' order by 1`;
      expect(logged.map(({ code }) => code)).toEqual(codes(seen.records));
    },
  );

  test(
    "a volume that is not mounted costs no document: when most files are gone none is deleted",
    { timeout: 120_000 },
    async () => {
      for (let at = 0; at < 12; at += 1) await write(`${at}.md`, `File ${at}.\n`);
      await world.rag(["ingest", "root"], settings);
      await world.rag(["worker", "--once"], settings);
      for (let at = 0; at < 11; at += 1) await rm(join(world.folder, "root", `${at}.md`));

      const emptied = await sync("--repair");
      await rm(join(world.folder, "root"), { recursive: true });
      const unmounted = await sync("--repair");

      expect(emptied, emptied.err).toMatchObject({ code: 1 });
      expect(emptied.records.at(-1)).toMatchObject({ findings: 11, repaired: 0, held_back: 11 });
      expect(unmounted).toMatchObject({ code: 2 });
      expect(unmounted.err).toContain("RAG_DOCUMENT_ROOT");
      expect(await sql`select 1 from rag_documents`).toHaveLength(12);
    },
  );

  test(
    "a worker does it as a job, on request and on an interval, and tells of it",
    { timeout: 120_000 },
    async () => {
      await write("changed.md", "Before.\n");
      await world.rag(["ingest", "root"], settings);
      await world.rag(["worker", "--once"], settings);
      await write("changed.md", "After.\n");
      await sql`select rag_enqueue('{"kind": "sync", "sync": {"type": "full_sync", "repair": true}}')`;

      const worker = world.start(["worker"], { ...settings, PORT: "0", RAG_SYNC_INTERVAL_MINUTES: "60" });
      const contents = async () =>
        (await sql`select content from rag_live_chunks`).map(({ content }) => String(content).trim());
      await expect.poll(contents, { timeout: 60_000 }).toEqual(["After."]);
      const asked = () =>
        sql`select 1 from rag_ingestion_queue where kind = 'sync' and dedupe_key is not null and status = 'complete'`;
      worker.signal("SIGTERM");
      const first = await worker.ended;
      // The interval's own job is asked for at the start, unless one is under way: with the next worker at the latest.
      const next = world.start(["worker"], { ...settings, PORT: "0", RAG_SYNC_INTERVAL_MINUTES: "60" });
      await expect.poll(async () => (await asked()).length, { timeout: 60_000 }).toBe(1);
      next.signal("SIGTERM");
      const second = await next.ended;

      expect(first.out + second.out).toContain("looked through what is stored");
      expect(first.out).toContain("file.changed");
      expect(await sql`select 1 from rag_ingestion_queue where status = 'failed'`).toHaveLength(0);
    },
  );

  test(
    "only the named documents, only conflicts, and what contradicts itself is refused",
    { timeout: 120_000 },
    async () => {
      await write("one.md", "One.\n");
      await write("two.md", "Two.\n");
      await world.rag(["ingest", "root"], settings);
      await world.rag(["worker", "--once"], settings);
      await write("one.md", "Other.\n");
      await write("two.md", "Other.\n");
      const [one] = await sql`select id from rag_documents where title = 'one.md'`;

      const named = await sync(String(one?.id));
      const conflicts = await sync("--conflicts");
      const both = await sync("--conflicts", "--full");
      const half = await sync("6f2c");

      expect(named.records).toMatchObject([{ finding: { code: "file.changed" } }, { looked_at: 2 }]);
      expect(conflicts).toMatchObject({ code: 0, records: [{ clean: true }] });
      expect([both.code, half.code]).toEqual([2, 2]);
    },
  );
});
