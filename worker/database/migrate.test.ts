import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { describeWith, type FreshDatabase, freshDatabase } from "../tests/services.ts";
import { listMigrations, migrate, pendingMigrations } from "./migrate.ts";
import { openPostgresSession } from "./postgres-session.ts";
import type { OpenSqlSession } from "./sql-session.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "rag-migrations-"));
});
afterEach(() => rmSync(folder, { recursive: true }));
const file = (name: string, text: string) => writeFileSync(join(folder, name), text);

test("files that the Supabase CLI would skip are none of ours, and the rest come by version", async () => {
  for (const name of [
    "20260102000000_b.sql",
    "20260101000000_a.sql",
    "notes.md",
    "x_y.sql",
    "20260103000000.sql",
  ])
    file(name, "");

  expect((await listMigrations(folder)).map(({ version, name }) => `${version} ${name}`)).toStrictEqual([
    "20260101000000 a",
    "20260102000000 b",
  ]);
});

test("a folder that is not there is told", async () => {
  await expect(listMigrations(join(folder, "nowhere"))).rejects.toMatchObject({
    code: "database.not-migrated",
  });
});

describeWith(["postgres", "pgbouncer"], "migrate", () => {
  let fresh: FreshDatabase;
  let session: OpenSqlSession;
  beforeEach(async () => {
    fresh = await freshDatabase();
    session = await openPostgresSession({ url: fresh.url });
    return async () => {
      await session.close();
      await fresh.drop();
    };
  });

  const recorded = () =>
    session.query(
      "select version, name, statements from supabase_migrations.schema_migrations order by version",
    );

  test("a file that a deadlock has ended begins again", async () => {
    await session.script("create table public.one (n integer); create table public.other (n integer);");
    const text =
      "lock table public.one; select pg_sleep(0.5); alter table public.other add column added text;";
    file("20260101000000_first.sql", text);
    const worker = await openPostgresSession({ url: fresh.url });

    const met = worker.transaction(async (held) => {
      // It is the migration that finds the deadlock.
      await held.script(
        "set local deadlock_timeout = '1min'; lock table public.other in row exclusive mode;",
      );
      const migrated = migrate(session, folder);
      await held.query("select pg_sleep(0.2)");
      await held.script("lock table public.one in row exclusive mode");
      return { migrated };
    });

    const { applied } = await (await met).migrated;
    await worker.close();
    expect(applied).toEqual(["20260101000000_first.sql"]);
  });

  test("applies what is missing, records it as the CLI does, and then has nothing to do", async () => {
    file("20260101000000_first.sql", "create table public.first (n integer);");
    file("20260102000000_second.sql", "create table public.second (n integer);");

    const once = await migrate(session, folder);
    const twice = await migrate(session, folder);

    expect(once.applied).toStrictEqual(["20260101000000_first.sql", "20260102000000_second.sql"]);
    expect(twice).toStrictEqual({ applied: [], already: once.applied });
    expect(await recorded()).toMatchObject([
      { version: "20260101000000", name: "first", statements: ["create table public.first (n integer);"] },
      { version: "20260102000000", name: "second" },
    ]);
  });

  test("leaves alone what the CLI has applied", async () => {
    // The table as the CLI makes it, statement by statement.
    await session.script(`
      create schema if not exists supabase_migrations;
      create table supabase_migrations.schema_migrations (version text not null primary key);
      alter table supabase_migrations.schema_migrations add column statements text[];
      alter table supabase_migrations.schema_migrations add column name text;
      insert into supabase_migrations.schema_migrations values ('20260101000000', '{"create table x"}', 'first')`);
    file("20260101000000_first.sql", "this would fail");

    expect(await pendingMigrations(session, folder)).toStrictEqual([]);
    expect((await migrate(session, folder)).already).toStrictEqual(["20260101000000_first.sql"]);
  });

  test("says what is pending before and after, and changes nothing by asking", async () => {
    file("20260101000000_first.sql", "create table public.first (n integer);");

    const before = await pendingMigrations(session, folder);

    expect(before.map(({ name }) => name)).toStrictEqual(["first"]);
    expect(
      await session.query("select 1 from pg_namespace where nspname = 'supabase_migrations'"),
    ).toHaveLength(0);
    await migrate(session, folder);
    expect(await pendingMigrations(session, folder)).toStrictEqual([]);
  });

  test("two replicas that migrate at once both succeed, and each file runs once", async () => {
    file("20260101000000_first.sql", "create table public.first (n integer); select pg_sleep(0.2);");
    const other = await openPostgresSession({ url: fresh.pgbouncerUrl });

    const both = await Promise.all([migrate(session, folder), migrate(other, folder)]);

    expect(both.flatMap(({ applied }) => applied)).toStrictEqual(["20260101000000_first.sql"]);
    expect(await recorded()).toHaveLength(1);
    await other.close();
  });

  test("a file that fails is undone whole and not recorded; what ran before it stays", async () => {
    file("20260101000000_first.sql", "create table public.first (n integer);");
    file("20260102000000_broken.sql", "create table public.half (n integer); select 1 from public.nowhere;");

    await expect(migrate(session, folder)).rejects.toMatchObject({
      code: "database.rejected",
      message: 'Migration 20260102000000_broken.sql failed: relation "public.nowhere" does not exist.',
    });

    expect(await recorded()).toMatchObject([{ version: "20260101000000" }]);
    expect(await session.query("select to_regclass('public.half') as half")).toMatchObject([{ half: null }]);
  });

  test("a server without pgvector is told in its own words", async () => {
    file("20260101000000_first.sql", 'create extension "vector-of-nobody";');

    await expect(migrate(session, folder)).rejects.toMatchObject({ code: "database.no-pgvector" });
  });

  test("a role that may not create is denied", async () => {
    file("20260101000000_first.sql", "set local role anon; create table public.first (n integer);");

    await expect(migrate(session, folder)).rejects.toMatchObject({ code: "database.denied" });
  });

  test("settings that a file makes are not left behind on the connection", async () => {
    file("20260101000000_first.sql", "set search_path = pg_catalog; set statement_timeout = '1s';");
    const [before] = await session.query("show search_path");

    await migrate(session, folder);

    const after = await Promise.all([session.query("show search_path"), session.query("show search_path")]);
    expect(after.flat()).toStrictEqual([before, before]);
    expect(await session.query("show statement_timeout")).toMatchObject([{ statement_timeout: "0" }]);
  });

  test("the product's own migrations survive being run twice", async () => {
    await migrate(session);
    await session.query("delete from supabase_migrations.schema_migrations");

    expect((await migrate(session)).applied.length).toBeGreaterThan(0);
  });
});
