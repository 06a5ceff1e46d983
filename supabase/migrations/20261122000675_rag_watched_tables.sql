-- Watched tables: any table with an id and a path becomes a way in. The application goes on writing its own rows and
-- need not know of us; a row that cannot become a job is a dead letter and never an error of the application's.

-- A column's plain name from how it is written in SQL: "DocumentID" with its quotes, or documentid without.
create or replace function public.rag_column_of(p_table regclass, p_name text) returns text
language plpgsql stable set search_path = '' as $$
declare
  v_parts text[] := parse_ident(p_name);
begin
  if array_length(v_parts, 1) = 1 and exists (
    select 1 from pg_catalog.pg_attribute a
    where a.attrelid = p_table and a.attname = v_parts[1] and a.attnum > 0 and not a.attisdropped) then
    return v_parts[1];
  end if;
  raise exception 'The table % has no column %. Write it as in a query, with its quotes.', p_table, p_name
    using errcode = '22023';
end $$;

-- Where a watched row's document is read from: a whole address as it stands, else an object of the bucket, else a
-- path below the document root. A percent sign would be read as the start of an encoded one.
create or replace function public.rag_watched_address(p_path text, p_watch jsonb) returns text
language sql immutable set search_path = '' as $$
  select case
    when p.path ~ '^(storage://|file:///|inline:)' then p.path
    when p_watch ? 'bucket' then 'storage://' || (p_watch ->> 'bucket') || '/' || ltrim(p.encoded, '/')
    else 'file:///' || ltrim(p.encoded, '/') end
  from (
    select s.path, replace(replace(s.path, '\', '/'), '%', '%25') as encoded
    from (select case when starts_with(p_path, coalesce(p_watch ->> 'strip', ''))
      then substr(p_path, length(coalesce(p_watch ->> 'strip', '')) + 1) else p_path end as path) s) p
$$;

-- Whether a watched row is one of those that are meant ("only").
create or replace function public.rag_watched_row_meant(p_row jsonb, p_watch jsonb) returns boolean
language sql immutable set search_path = '' as $$
  select p_row is not null and coalesce(nullif(p_row ->> (p_watch ->> 'path'), ''), '') <> ''
    and p_row ->> (p_watch ->> 'id') is not null
    and not exists (
      select 1 from jsonb_each_text(coalesce(p_watch -> 'only', '{}')) o
      where p_row ->> o.key is distinct from o.value)
$$;

-- Called for each row of a watched table that is there, new or changed. Nothing -> queued.
create or replace function public.rag_enqueue_watched_row(p_row jsonb, p_watch jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_path text := p_row ->> (p_watch ->> 'path');
begin
  return public.rag_enqueue(jsonb_strip_nulls(jsonb_build_object(
    'external_id', p_row ->> (p_watch ->> 'id'),
    'source_uri', public.rag_watched_address(v_path, p_watch),
    'title', coalesce(p_row ->> (p_watch ->> 'title_column'), regexp_replace(v_path, '^.*[/\\]', '')),
    'tenant_id', coalesce(p_row ->> (p_watch ->> 'tenant_column'), p_watch ->> 'tenant_id'),
    'user_id', coalesce(p_row ->> (p_watch ->> 'user_column'), p_watch ->> 'user_id'),
    'collection', p_watch ->> 'collection', 'tags', p_watch -> 'tags', 'priority', p_watch -> 'priority')));
end $$;

-- Called for a row of a watched table that is gone, or is no longer one of those that are meant. A document with
-- many chunks goes from the searches at once; what is left of it is removed with the next calls, here or by
-- `rag delete`.
create or replace function public.rag_delete_watched_row(p_row jsonb, p_watch jsonb) returns void
language plpgsql set search_path = '' as $$
declare
  v_filter jsonb := jsonb_build_object(
    'external_ids', jsonb_build_array(p_row ->> (p_watch ->> 'id')),
    'tenant_id', coalesce(p_row ->> (p_watch ->> 'tenant_column'), p_watch ->> 'tenant_id', 'default'),
    'collection', p_watch ->> 'collection');
begin
  -- A worker that writes to it this very moment holds its row for milliseconds.
  for v_turn in 1..20 loop
    exit when not (public.rag_delete_documents(v_filter) ->> 'more')::boolean;
    perform pg_catalog.pg_sleep(0.05);
  end loop;
end $$;

-- Trigger of watched tables. SECURITY DEFINER: who may write to the application's table need not know of ours.
create or replace function public.rag_watched_table_changed() returns trigger
language plpgsql security definer set search_path = '' as $$
declare
  v_watch jsonb := tg_argv[0]::jsonb;
  v_old jsonb := case when tg_op = 'INSERT' then null else to_jsonb(old) end;
  v_new jsonb := case when tg_op = 'DELETE' then null else to_jsonb(new) end;
  v_was boolean := public.rag_watched_row_meant(v_old, v_watch);
  v_is boolean := public.rag_watched_row_meant(v_new, v_watch);
  v_payload text;
begin
  if v_was and v_is and not exists (
    select 1 from jsonb_array_elements_text(v_watch -> 'heeds') h
    where v_old -> h.value is distinct from v_new -> h.value) then
    return null;
  end if;
  begin
    if v_was and (v_watch ->> 'on_delete') = 'delete' and (not v_is
      or v_old ->> (v_watch ->> 'id') is distinct from v_new ->> (v_watch ->> 'id')
      or v_old ->> (v_watch ->> 'tenant_column') is distinct from v_new ->> (v_watch ->> 'tenant_column')) then
      perform public.rag_delete_watched_row(v_old, v_watch);
    end if;
    if v_is then
      perform public.rag_enqueue_watched_row(v_new, v_watch);
    end if;
  exception when others then
    -- The application's row is worth more than our job; the letter tells of it.
    v_payload := coalesce(v_new, v_old)::text;
    perform public.rag_bury_message(jsonb_build_object('way', 'table', 'subject', tg_relid::regclass::text,
      'message_id', coalesce(v_new, v_old) ->> (v_watch ->> 'id'), 'code', 'ingress.refused',
      'tenant_id', coalesce(coalesce(v_new, v_old) ->> (v_watch ->> 'tenant_column'), v_watch ->> 'tenant_id'),
      'user_id', coalesce(coalesce(v_new, v_old) ->> (v_watch ->> 'user_column'), v_watch ->> 'user_id'),
      'detail', sqlerrm, 'payload', v_payload, 'payload_bytes', octet_length(v_payload),
      'payload_sha256', encode(sha256(convert_to(v_payload, 'UTF8')), 'hex')));
  end;
  return null;
end $$;

-- Called by operators. From now on each row of the table is a document of its own: its id is the external_id, its
-- path the address. An update of the path re-reads it, a deletion deletes it. Called again, it replaces the watch.
-- Names as in a query, with schema and quotes where they need them. Options: collection (the table's name), tenant_id,
-- user_id, tags, priority; tenant_column, user_column, title_column; bucket (paths are objects of it) or strip (what
-- paths begin with); only ({column: value}); heeds (columns whose change means that the content changed);
-- on_delete (delete or keep); existing (true: the rows that are there are enqueued).
-- Answers {watched, enqueued}.
create or replace function public.rag_watch_table(
  p_table text, p_id_column text, p_path_column text, p_options jsonb default '{}') returns jsonb
language plpgsql set search_path = '' set statement_timeout = '60s' as $$
declare
  v_table regclass;
  v_name text;
  v_watch jsonb;
  v_column text;
  v_row jsonb;
  v_enqueued integer := 0;
begin
  perform public.rag_check_request(p_options, array['collection', 'tenant_id', 'user_id', 'tags', 'priority',
    'tenant_column', 'user_column', 'title_column', 'bucket', 'strip', 'only', 'heeds', 'on_delete', 'existing']);
  -- A name without a schema is looked up where tables of applications are.
  v_table := case when array_length(parse_ident(p_table), 1) = 1 then format('public.%I', (parse_ident(p_table))[1])
    else p_table end::regclass;
  select c.relname into v_name from pg_catalog.pg_class c where c.oid = v_table;
  if v_name like 'rag\_%' then
    raise exception 'The table % is one of ours and cannot be watched.', v_table using errcode = '22023';
  elsif coalesce(p_options ->> 'on_delete', 'delete') not in ('delete', 'keep') then
    raise exception 'on_delete is delete or keep.' using errcode = '22023';
  end if;
  v_watch := jsonb_build_object('collection', v_name, 'on_delete', 'delete', 'only', '{}'::jsonb)
    || public.rag_given_fields(p_options) || jsonb_build_object(
      'id', public.rag_column_of(v_table, p_id_column), 'path', public.rag_column_of(v_table, p_path_column));
  foreach v_column in array array['tenant_column', 'user_column', 'title_column'] loop
    if v_watch ? v_column then
      v_watch := v_watch || jsonb_build_object(v_column, public.rag_column_of(v_table, v_watch ->> v_column));
    end if;
  end loop;
  for v_column in select o.key from jsonb_each(v_watch -> 'only') o loop
    if public.rag_column_of(v_table, quote_ident(v_column)) is null then return null; end if;
  end loop;
  v_watch := v_watch || jsonb_build_object('heeds', (
    select jsonb_agg(distinct h.name) from (
      select v_watch ->> 'id' as name union all select v_watch ->> 'path'
      union all select v_watch ->> 'tenant_column' where v_watch ? 'tenant_column'
      union all select public.rag_column_of(v_table, e.value)
        from jsonb_array_elements_text(coalesce(p_options -> 'heeds', '[]')) e) h));

  execute format('drop trigger if exists rag_watch on %s', v_table);
  execute format('create trigger rag_watch after insert or update or delete on %s for each row
    execute function public.rag_watched_table_changed(%L)', v_table, v_watch - 'existing');
  if coalesce((p_options ->> 'existing')::boolean, true) then
    for v_row in execute format('select to_jsonb(t) from %s t', v_table) loop
      continue when not public.rag_watched_row_meant(v_row, v_watch);
      perform public.rag_enqueue_watched_row(v_row, v_watch);
      v_enqueued := v_enqueued + 1;
    end loop;
  end if;
  return jsonb_build_object('watched', v_table::text, 'enqueued', v_enqueued);
end $$;

-- Called by operators. The documents stay. Answers whether it was watched.
create or replace function public.rag_unwatch_table(p_table text) returns boolean
language plpgsql set search_path = '' as $$
declare
  v_table regclass := case when array_length(parse_ident(p_table), 1) = 1
    then format('public.%I', (parse_ident(p_table))[1]) else p_table end::regclass;
  v_was boolean := exists (
    select 1 from pg_catalog.pg_trigger t where t.tgrelid = v_table and t.tgname = 'rag_watch');
begin
  execute format('drop trigger if exists rag_watch on %s', v_table);
  return v_was;
end $$;

notify pgrst, 'reload schema';
