// The operator's way on a real server: wrong addresses, migrations, doctor, and files taken by reference.
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import postgres from "postgres";
import { afterAll, beforeAll, expect, test } from "vitest";
import { describeWith, type FreshDatabase, freshDatabase } from "../services.ts";
import { startPostgrest } from "../stand-ins/postgrest.ts";
import { openWorld, type RagWorld } from "./rag-process.ts";

describeWith(["postgres", "pgbouncer"], "rag on Postgres", () => {
  let world: RagWorld;
  let database: FreshDatabase;
  let sql: postgres.Sql;
  beforeAll(async () => {
    [world, database] = await Promise.all([openWorld(), freshDatabase()]);
    sql = postgres(database.url, { max: 1, onnotice: () => {} });
  });
  afterAll(async () => {
    await sql.end();
    await world.close();
    await database.drop();
  });

  const on = (url: string) => ({ DATABASE_URL: url });
  const altered = (change: (url: URL) => void) => {
    const url = new URL(database.url);
    change(url);
    return on(url.href);
  };
  const coloursOf = (records: readonly Record<string, unknown>[]) =>
    Object.fromEntries(records.map(({ check, status }) => [check, status]));

  test("a server that is not there, a wrong password and a missing database each end the start with 2", async () => {
    const [gone, denied, missing] = await Promise.all([
      world.rag(
        ["worker"],
        altered((url) => Object.assign(url, { port: "9" })),
      ),
      world.rag(
        ["worker"],
        altered((url) => Object.assign(url, { password: "canary-password" })),
      ),
      world.rag(
        ["worker"],
        altered((url) => Object.assign(url, { pathname: "/nothing_here" })),
      ),
    ]);

    expect(gone).toMatchObject({
      code: 2,
      err: expect.stringContaining("Nothing listens at the database's address."),
    });
    expect(denied).toMatchObject({
      code: 2,
      err: expect.stringContaining("refused the user name or password"),
    });
    expect(denied.err + denied.out).not.toContain("canary-password");
    expect(missing).toMatchObject({ code: 2, err: expect.stringContaining("no database of that name") });
  });

  test("before the migrations nothing works and everything says how to run them; after them all is well", async () => {
    const worker = await world.rag(["worker"], on(database.url));
    const before = await world.rag(["doctor", "--json"], on(database.url));
    const dry = await world.rag(["migrate", "--dry-run", "--json"], on(database.url));
    const untouched = await sql`select to_regclass('rag_documents') as found`;
    const migrated = await world.rag(["migrate", "--json"], on(database.url));
    const again = await world.rag(["migrate"], on(database.url));
    const after = await world.rag(["doctor", "--json"], on(database.url));

    expect(worker).toMatchObject({ code: 2, err: expect.stringContaining("npm run rag -- migrate") });
    expect(before.code).toBe(2);
    expect(coloursOf(before.records)).toMatchObject({
      migrations: "red",
      database: "red",
      provider: "green",
    });
    expect(untouched[0]?.found).toBeNull();
    expect(migrated.code).toBe(0);
    expect(migrated.records[0]?.applied).toEqual(dry.records[0]?.pending);
    expect(again.out).toContain("Nothing to do");
    expect(after.code, after.out).toBe(0);
    expect(coloursOf(after.records)).toMatchObject({
      migrations: "green",
      connection: "green",
      grants: "green",
    });
  });

  test("the doctor turns red when anon may use anything of ours", async () => {
    await sql`grant select on rag_documents to anon`;
    const open = await world.rag(["doctor", "--json"], on(database.url));
    await sql`revoke select on rag_documents from anon`;

    expect(open.code).toBe(2);
    expect(open.records).toContainEqual(
      expect.objectContaining({
        check: "grants",
        status: "red",
        says: expect.stringContaining("rag_documents"),
      }),
    );
  });

  test("the doctor notices a transaction pooler, and that vectors do not live in Qdrant", async () => {
    const direct = await world.rag(["doctor", "--json"], on(database.url));
    const pooled = await world.rag(["doctor", "--json"], {
      ...on(database.pgbouncerUrl),
      QDRANT_URL: "http://q:6333",
    });

    const saysOf = (records: readonly Record<string, unknown>[], check: string) =>
      records.filter((record) => record.check === check).map(({ says }) => says);
    expect(saysOf(direct.records, "pooling")).toEqual(["no transaction pooling detected"]);
    expect(saysOf(pooled.records, "pooling")).toEqual([
      expect.stringContaining("transaction pooling detected"),
    ]);
    expect(saysOf(pooled.records, "settings")).toContain("QDRANT_URL is set");
    expect(pooled.code, pooled.out).toBe(0);
  });

  test("a file below the document root is taken by reference, one beside it with its bytes", async () => {
    const root = join(world.folder, "root");
    await mkdir(root, { recursive: true });
    await writeFile(join(root, "inside rules.md"), "Inside the root.\n");
    await writeFile(join(world.folder, "outside.md"), "Outside the root.\n");
    const settings = { ...on(database.url), RAG_DOCUMENT_ROOT: root };

    const ingest = await world.rag(["ingest", "root", "outside.md", "--json"], settings);
    const stored = await sql`select d.source_uri, d.title, count(o.*)::int as parts from rag_documents d
      left join rag_originals o on o.document_id = d.id group by d.id order by d.source_uri`;
    const once = await world.rag(["worker", "--once", "--json"], settings);

    expect(ingest.records).toMatchObject([{ documents: 2, queued: 2, failed: [] }]);
    expect([...stored]).toEqual([
      { source_uri: "file:///inside%20rules.md", title: "inside rules.md", parts: 0 },
      { source_uri: `inline:${join(world.folder, "outside.md")}`, title: "outside.md", parts: 1 },
    ]);
    expect(once.records, once.err).toMatchObject([{ completed: 2, failed: 0 }]);
  });

  test("over the Supabase API the figures are the same, and migrate says what it needs", async () => {
    const api = await startPostgrest(database.url);
    const settings = { SUPABASE_URL: api.url, SUPABASE_SECRET_KEY: api.key };
    try {
      const migrate = await world.rag(["migrate"], settings);
      const [status, direct] = await Promise.all([
        world.rag(["status", "--json"], settings),
        world.rag(["status", "--json"], on(database.url)),
      ]);
      const wrongKey = await world.rag(["worker"], { ...settings, SUPABASE_SECRET_KEY: "canary-key" });

      expect(migrate).toMatchObject({ code: 2, err: expect.stringContaining("supabase db push") });
      // Which snapshot happens to be the oldest is a matter of the moment; it has tests of its own.
      const ofTheMoment = { oldest_snapshot: null, oldest_snapshot_seconds: null };
      expect({ ...status.records[0], ...ofTheMoment }, status.err).toEqual({
        ...direct.records[0],
        ...ofTheMoment,
        database: "supabase",
      });
      expect(wrongKey.code).toBe(2);
      expect(wrongKey.err).toContain("database.denied");
      expect(wrongKey.err).not.toContain("canary-key");
    } finally {
      await api.close();
    }
  });
});
