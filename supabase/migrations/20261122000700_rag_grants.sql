-- Nobody gets in: row security on every table, everything revoked from public, anon and authenticated, and
-- explicit grants for service_role (since October 2026 Supabase grants nothing by itself, not even to it).
-- Later migrations that add an object end with the same block.
do $$
declare
  v_object record;
  v_outsiders text;
begin
  select string_agg(r.name, ', ') into v_outsiders
  from (
    select 'public' as name
    union all
    select quote_ident(rolname) from pg_catalog.pg_roles where rolname in ('anon', 'authenticated')) r;

  for v_object in
    select c.oid::regclass::text as name, c.relkind as kind, c.relrowsecurity as is_secured from pg_catalog.pg_class c
    where c.relnamespace = 'public'::regnamespace and c.relname like 'rag\_%' and c.relkind in ('r', 'p', 'v', 'S')
  loop
    -- Not again: it locks the table against readers, and every later migration would meet them on all tables.
    if v_object.kind in ('r', 'p') and not v_object.is_secured then
      execute format('alter table %s enable row level security', v_object.name);
    end if;
    execute format('revoke all on %s %s from %s',
      case when v_object.kind = 'S' then 'sequence' else 'table' end, v_object.name, v_outsiders);
  end loop;
  for v_object in
    select p.oid::regprocedure::text as name from pg_catalog.pg_proc p
    where p.pronamespace = 'public'::regnamespace and p.proname like 'rag\_%'
  loop
    execute format('revoke all on function %s from %s', v_object.name, v_outsiders);
  end loop;

  if exists (select 1 from pg_catalog.pg_roles where rolname = 'service_role') then
    for v_object in
      select c.oid::regclass::text as name, c.relkind as kind from pg_catalog.pg_class c
      where c.relnamespace = 'public'::regnamespace and c.relname like 'rag\_%'
        and c.relkind in ('r', 'p', 'v', 'S')
    loop
      if v_object.kind = 'S' then
        -- update: the cells of the queue are set, not only counted up.
        execute format('grant usage, select, update on sequence %s to service_role', v_object.name);
      else
        execute format('grant select, insert, update, delete on table %s to service_role', v_object.name);
      end if;
    end loop;
    for v_object in
      select p.oid::regprocedure::text as name from pg_catalog.pg_proc p
      where p.pronamespace = 'public'::regnamespace and p.proname like 'rag\_%'
    loop
      execute format('grant execute on function %s to service_role', v_object.name);
    end loop;
    grant usage on schema public, extensions to service_role;
  end if;
end $$;

notify pgrst, 'reload schema';
