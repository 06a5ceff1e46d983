// Nobody gets in: whatever is not service_role can neither read, write nor call anything of ours.
import { afterAll, beforeAll, expect, test } from "vitest";
import { describeWith } from "../services.ts";
import { type Leg, openLeg } from "./open-databases.ts";

describeWith("postgres", "access", () => {
  let leg: Leg;
  beforeAll(async () => {
    leg = await openLeg("postgres");
  });
  afterAll(() => leg.close());

  const as = (role: string, statement: string) =>
    leg.sql.transaction(async (session) => {
      await session.script(`set local role ${role}`);
      return await session.query(statement);
    });
  const names = async (statement: string) => (await leg.sql.query(statement)).map((row) => String(row.name));

  test.each(["anon", "authenticated"])("%s can touch no table, view or function", async (role) => {
    const relations = await names(
      "select c.relname as name from pg_class c where c.relnamespace = 'public'::regnamespace and c.relname like 'rag\\_%' and c.relkind in ('r', 'v', 'S')",
    );
    const allowed = await leg.sql.query(
      `select c.relname from pg_class c where c.relnamespace = 'public'::regnamespace and c.relname like 'rag\\_%'
       and case when c.relkind = 'S' then has_sequence_privilege('${role}', c.oid, 'usage,select,update')
         when c.relkind in ('r', 'v') then has_table_privilege('${role}', c.oid, 'select,insert,update,delete,truncate') end
       union all
       select p.proname from pg_proc p where p.pronamespace = 'public'::regnamespace and p.proname like 'rag\\_%'
       and has_function_privilege('${role}', p.oid, 'execute')`,
    );

    expect(relations.length).toBeGreaterThan(8);
    expect(allowed).toEqual([]);
    await expect(as(role, "select * from public.rag_documents")).rejects.toThrow();
    await expect(as(role, "select public.rag_queue_stats()")).rejects.toThrow();
    await expect(as(role, "select * from public.rag_live_chunks")).rejects.toThrow();
  });

  test("every table has row security, so that a grant by mistake still shows nothing", async () => {
    const open = await names(
      "select c.relname as name from pg_class c where c.relnamespace = 'public'::regnamespace and c.relname like 'rag\\_%' and c.relkind in ('r', 'p') and not c.relrowsecurity",
    );
    expect(open).toEqual([]);
  });

  test("service_role can do what the worker does", async () => {
    const rows = await as(
      "service_role",
      "select public.rag_claim_jobs('w', 1, array['document'], 60) as jobs",
    );
    expect(rows).toEqual([{ jobs: {} }]);
  });

  test("functions of the schema are sound by the checker of their language", async () => {
    await leg.sql.script("create extension if not exists plpgsql_check");
    // One trigger stands on whatever table an application has watched.
    await leg.sql.script(`create table public.files (id integer primary key, path text);
      select public.rag_watch_table('public.files', 'id', 'path')`);
    const found = await leg.sql.query(
      `select p.proname, c.level, c.message from pg_proc p
       cross join lateral plpgsql_check_function_tb(p.oid,
         coalesce((select t.tgrelid from pg_trigger t where t.tgfoid = p.oid limit 1), 0),
          oldtable => case when p.proname in ('rag_generations_after_delete', 'rag_analyses_after_delete')
            then 'gone' end,
         newtable => case when p.proname = 'rag_queue_after_insert' then 'inserted' end) c
       where p.pronamespace = 'public'::regnamespace and p.proname like 'rag\\_%' and c.level in ('error', 'warning')
         and p.prolang = (select l.oid from pg_language l where l.lanname = 'plpgsql')`,
    );
    expect(found).toEqual([]);
  });
});
